#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

__attribute__((constructor(101))) static void prepare_standard_streams(void) {
    // Writing to the log returns errors, where these signals would end or stop the process: its reader is gone, the file
    // is at its limit, a terminal has another job in the foreground.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    // Without a standard stream the next file or socket would get its number, and the lines of the log.
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        if (fcntl(descriptor, F_GETFD) == -1) (void)!open("/dev/null", O_RDWR);
    }
}

#if !__has_feature(address_sanitizer)
// Also before the shared libraries' own constructors: libdispatch opens files in its. AddressSanitizer is not ready then.
__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = prepare_standard_streams;
#endif
