"""Checks that a server that others start keeps its messages: sends one, and finds it after a restart.

restart_check.py leave ADDRESS       sends a message, and prints its time
restart_check.py find ADDRESS TIME
"""

import argparse
import sys

from support.api import PATIENCE, connected, pb, reading, stub, time_of


def leave(address: str) -> int:
    with connected(address) as channel:
        request = pb.SendMessageRequest(author="Ivan", text="Still there?")
        return time_of(stub(channel).SendMessage(request, timeout=PATIENCE, wait_for_ready=True))


def find(address: str, time: int) -> bool:
    with connected(address) as channel:
        # There is something to be read in any case.
        stub(channel).SendMessage(pb.SendMessageRequest(author="Petr"), timeout=PATIENCE, wait_for_ready=True)
        with reading(channel, after=time - 1) as reader:
            return time_of(reader.take(1)[0]) == time


def main() -> int:
    parser = argparse.ArgumentParser(prog="restart_check.py", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["leave", "find"])
    parser.add_argument("address")
    parser.add_argument("time", type=int, nargs="?", default=0, help="in nanoseconds since 1970")
    arguments = parser.parse_args()
    if arguments.what == "leave":
        print(leave(arguments.address))
        return 0
    found = find(arguments.address, arguments.time)
    print("kept" if found else f"{arguments.address} has lost the message of {arguments.time}", file=sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
