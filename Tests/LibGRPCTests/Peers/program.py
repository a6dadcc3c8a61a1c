"""How the programs here begin and end, so that none outlives its test."""

import os
import signal
import sys


def end_within(seconds):
    """Has a program that hangs killed: its test has failed then."""
    # What starts it is a thread of a pool, on which all signals are blocked, and so would this one be.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.alarm(seconds)


def end():
    """Ends the program at once, with success.

    Python's own end would run grpcio's finalizers, and the one of a call may wait for a lock that a thread held which is
    no more.
    """
    sys.stdout.flush()
    os._exit(0)
