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

#: Adds the seconds in the file that CLOCK_FILE names to the wall clock; the monotonic clocks stay as they are.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

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
