#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

// Where no thread can be started, the libraries below wait for ever or abort, some of them before `main`: neither a sentence
// nor SIGTERM would get through. So a program tries first whether it may have as many as it has at the least.

static const long needed_beside_processors = 13;
static const long most = 128;
static const size_t stack_bytes = 64 << 10;

static pthread_mutex_t all_started = PTHREAD_MUTEX_INITIALIZER;

static void *wait_for_all(void *nothing) {
    pthread_mutex_lock(&all_started);
    pthread_mutex_unlock(&all_started);
    return nothing;
}

__attribute__((constructor)) static void check_threads(void) {
    pthread_t threads[128];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long needed = needed_beside_processors + (processors > 0 ? processors : 1);
    if (needed > most) needed = most;

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    pthread_mutex_lock(&all_started);
    long started = 0;
    while (started < needed && pthread_create(&threads[started], &attributes, wait_for_all, NULL) == 0) started++;
    pthread_mutex_unlock(&all_started);
    for (long thread = 0; thread < started; thread++) pthread_join(threads[thread], NULL);
    pthread_attr_destroy(&attributes);

    if (started == needed) return;
    static const char message[] =
        "Error: Too few threads can be started. Raise the limit of processes (ulimit -u, pids_limit) or of memory.\n";
    (void)!write(STDERR_FILENO, message, strlen(message));
    _exit(69);
}
