// A wait until a time of the wall clock lasts an hour longer if that clock is set back an hour. abseil 20220623 waits like that,
// and with it all timers of gRPC's core: deadlines, keepalive, reconnection. So do libdispatch's semaphores. These functions
// replace the C library's, and turn such a time into one of the clock that is never set.
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const long second = 1000000000;

static struct timespec monotonic(const struct timespec *deadline) {
    struct timespec wall, now;
    clock_gettime(CLOCK_REALTIME, &wall);
    // Only a library's clock is before 1970, and abseil has no deadlines there.
    if (wall.tv_sec < 0) wall = (struct timespec){0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_sec += deadline->tv_sec - wall.tv_sec;
    now.tv_nsec += deadline->tv_nsec - wall.tv_nsec;
    if (now.tv_nsec < 0) now.tv_nsec += second, now.tv_sec--;
    if (now.tv_nsec >= second) now.tv_nsec -= second, now.tv_sec++;
    if (now.tv_sec < 0) now = (struct timespec){0, 0};
    return now;
}

int sem_timedwait(sem_t *semaphore, const struct timespec *deadline) {
    struct timespec end = monotonic(deadline);
    return sem_clockwait(semaphore, CLOCK_MONOTONIC, &end);
}

static long (*next_syscall)(long number, ...) = 0;

__attribute__((constructor(101))) static void find_next(void) {
    next_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a[6];
    for (int index = 0; index < 6; index++) a[index] = va_arg(list, long);
    va_end(list);
    if (!next_syscall) find_next();

    const struct timespec *deadline = (const struct timespec *)a[3];
    const long wait = FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME;
    if (number != SYS_futex || (a[1] & ~FUTEX_PRIVATE_FLAG) != wait || !deadline) {
        return next_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    struct timespec end = monotonic(deadline);
    return next_syscall(number, a[0], a[1] & ~FUTEX_CLOCK_REALTIME, a[2], &end, a[4], a[5]);
}

#endif
