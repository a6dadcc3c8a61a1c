"""A wall clock for one program, which a test sets."""

import atexit
import functools
import mmap
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from support.needs import skip_or_fail

#: Adds the seconds in the file that CLOCK_FILE names to the wall clock; the monotonic clocks stay as they are. A wait until
#: a time of the wall clock ends when this clock has that time, as if the system's clock had been set.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *ahead;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("CLOCK_FILE"), O_RDONLY);
    ahead = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    real = dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (clock == CLOCK_REALTIME && ahead) time->tv_sec += *ahead;
    return result;
}

static const struct timespec pause_ = {0, 5000000};

static int has_come(const struct timespec *time) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec > time->tv_sec || (now.tv_sec == time->tv_sec && now.tv_nsec >= time->tv_nsec);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *deadline) {
    while (sem_trywait(semaphore) != 0) {
        if (has_come(deadline)) return errno = ETIMEDOUT, -1;
        nanosleep(&pause_, 0);
    }
    return 0;
}

long syscall(long number, ...) {
    static long (*real_syscall)(long, ...);
    if (!real_syscall) real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_list list;
    va_start(list, number);
    long a[6];
    for (int index = 0; index < 6; index++) a[index] = va_arg(list, long);
    va_end(list);
    int until_wall_time = FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME;
    if (number != SYS_futex || (a[1] & ~FUTEX_PRIVATE_FLAG) != until_wall_time || !a[3])
        return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    while (!has_come((const struct timespec *)a[3])) {
        long result = real_syscall(number, a[0], FUTEX_WAIT | (a[1] & FUTEX_PRIVATE_FLAG), a[2], &pause_, 0, 0);
        if (result == 0 || errno != ETIMEDOUT) return result;
    }
    return errno = ETIMEDOUT, -1;
}
"""


@functools.cache
def _library() -> Path:
    """Builds the library once for all tests of a process."""
    compiler = shutil.which("cc") or shutil.which("clang")
    if not compiler:
        skip_or_fail("there is no C compiler here")
    folder = Path(tempfile.mkdtemp(prefix="messenger-clock-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "clock.c").write_text(SOURCE)
    library = folder / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "clock.c", "-ldl"], check=True)
    return library


class Clock:
    def __init__(self, folder: Path):
        library = _library()
        file = folder / "clock"
        file.write_bytes(bytes(8))
        with open(file, "r+b") as opened:
            self._ahead = mmap.mmap(opened.fileno(), 8)
        #: What a program with this clock takes in its environment.
        self.settings = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(file)}

    def set_ahead(self, seconds: int) -> None:
        self._ahead[:] = struct.pack("=q", seconds)

    def close(self) -> None:
        self._ahead.close()
