// Messages into a file of SQLite's and nothing else, as a measure for the server's durable history:
//
//     bare_sqlite FILE full|normal loop BATCH SECONDS       one thread commits batches of a fixed size
//     bare_sqlite FILE full|normal senders COUNT SECONDS    group commit: so many threads send one message after the
//                                                           other, and one commits all that wait
//
// Prints messages a second, and the 99th percentile of a commit, or of what a sender waits, in ms.
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static sqlite3 *file;
static sqlite3_stmt *begin_, *insert, *commit_;
static long long messages;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void check(int code) {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    fprintf(stderr, "%s\n", sqlite3_errmsg(file));
    exit(1);
}

static void open_file(const char *path, const char *sync) {
    check(sqlite3_open(path, &file));
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA journal_mode = WAL; PRAGMA synchronous = %s", sync);
    check(sqlite3_exec(file, pragma, 0, 0, 0));
    check(sqlite3_exec(file, "CREATE TABLE message (time INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL) STRICT",
                       0, 0, 0));
    check(sqlite3_prepare_v2(file, "BEGIN IMMEDIATE", -1, &begin_, 0));
    check(sqlite3_prepare_v2(file, "INSERT INTO message VALUES (?1, ?2, ?3)", -1, &insert, 0));
    check(sqlite3_prepare_v2(file, "COMMIT", -1, &commit_, 0));
}

static void commit_messages(long long count) {
    check(sqlite3_step(begin_));
    sqlite3_reset(begin_);
    for (long long index = 0; index < count; index++) {
        sqlite3_bind_int64(insert, 1, 1700000000000000000LL + messages++);
        sqlite3_bind_text(insert, 2, "sender", 6, SQLITE_STATIC);
        sqlite3_bind_text(insert, 3, "a message of thirty-two letters.", 32, SQLITE_STATIC);
        check(sqlite3_step(insert));
        sqlite3_reset(insert);
    }
    check(sqlite3_step(commit_));
    sqlite3_reset(commit_);
}

enum { MOST = 1000000 };
static double latencies[MOST];
static size_t measured;

static void measure(double latency) {
    if (measured < MOST) latencies[measured++] = latency;
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double loop(int batch, double seconds) {
    double start = now(), last = start;
    while (last - start < seconds) {
        commit_messages(batch);
        double end = now();
        measure(end - last);
        last = end;
    }
    return last - start;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER, committed = PTHREAD_COND_INITIALIZER;
// Messages handed over, and those of them that are kept, ever; behind the mutex, like what is measured.
static long long handed, kept;
static int stopping;

static void *send_messages(void *unused) {
    pthread_mutex_lock(&mutex);
    while (!stopping) {
        double start = now();
        long long mine = ++handed;
        pthread_cond_signal(&arrived);
        while (kept < mine) pthread_cond_wait(&committed, &mutex);
        measure(now() - start);
    }
    pthread_mutex_unlock(&mutex);
    return unused;
}

static double senders(int count, double seconds) {
    pthread_t threads[count];
    double start = now();
    for (int index = 0; index < count; index++) pthread_create(&threads[index], 0, send_messages, 0);
    pthread_mutex_lock(&mutex);
    while (!stopping || handed > kept) {
        while (handed == kept && !stopping) pthread_cond_wait(&arrived, &mutex);
        long long all = handed;
        pthread_mutex_unlock(&mutex);
        commit_messages(all - kept);
        pthread_mutex_lock(&mutex);
        kept = all;
        stopping = now() - start > seconds;
        pthread_cond_broadcast(&committed);
    }
    pthread_mutex_unlock(&mutex);
    double took = now() - start;
    for (int index = 0; index < count; index++) pthread_join(threads[index], 0);
    return took;
}

int main(int count, char **words) {
    if (count != 6) return 64;
    open_file(words[1], words[2]);
    int number = atoi(words[4]);
    double seconds = atof(words[5]);
    double took = strcmp(words[3], "senders") == 0 ? senders(number, seconds) : loop(number, seconds);
    qsort(latencies, measured, sizeof(double), ascending);
    printf("%.0f %.3f\n", messages / took, latencies[measured * 99 / 100] * 1000);
    return 0;
}
