#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static void end(int number) { _exit(128 + number); }

static void end_at(int number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_DFL) signal(number, end);
}

// A container's program is process 1 there, and the system drops a signal for process 1 that nobody handles. Until the program
// handles these itself, and in those of its modes that never do, `docker stop` would wait 10 s and kill.
__attribute__((constructor(101))) static void end_as_other_processes_do(void) {
    if (getpid() != 1) return;
    end_at(SIGTERM);
    end_at(SIGINT);
}

#if !__has_feature(address_sanitizer)
// As early as possible.
__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = end_as_other_processes_do;
#endif
