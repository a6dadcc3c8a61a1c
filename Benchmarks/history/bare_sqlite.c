// A bare loop that commits batches of messages to a file of SQLite's, as a measure for the server's durable history:
// bare_sqlite FILE full|normal BATCH SECONDS. Prints messages a second, and the 99th percentile of a commit in ms.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void check(int code, sqlite3 *file) {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    fprintf(stderr, "%s\n", sqlite3_errmsg(file));
    exit(1);
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(int count, char **words) {
    if (count != 5) return 64;
    int batch = atoi(words[3]);
    double seconds = atof(words[4]);
    sqlite3 *file;
    check(sqlite3_open(words[1], &file), file);
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA journal_mode = WAL; PRAGMA synchronous = %s", words[2]);
    check(sqlite3_exec(file, pragma, 0, 0, 0), file);
    check(sqlite3_exec(file, "CREATE TABLE message (time INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL) STRICT",
                       0, 0, 0), file);
    sqlite3_stmt *begin, *insert, *commit;
    check(sqlite3_prepare_v2(file, "BEGIN IMMEDIATE", -1, &begin, 0), file);
    check(sqlite3_prepare_v2(file, "INSERT INTO message VALUES (?1, ?2, ?3)", -1, &insert, 0), file);
    check(sqlite3_prepare_v2(file, "COMMIT", -1, &commit, 0), file);

    const size_t most = 1000000;
    double *latencies = malloc(most * sizeof(double));
    size_t commits = 0;
    long long messages = 0;
    double start = now(), last = start;
    while (last - start < seconds && commits < most) {
        check(sqlite3_step(begin), file);
        sqlite3_reset(begin);
        for (int index = 0; index < batch; index++) {
            sqlite3_bind_int64(insert, 1, 1700000000000000000LL + messages++);
            sqlite3_bind_text(insert, 2, "sender", 6, SQLITE_STATIC);
            sqlite3_bind_text(insert, 3, "a message of thirty-two letters.", 32, SQLITE_STATIC);
            check(sqlite3_step(insert), file);
            sqlite3_reset(insert);
        }
        check(sqlite3_step(commit), file);
        sqlite3_reset(commit);
        double end = now();
        latencies[commits++] = end - last;
        last = end;
    }
    qsort(latencies, commits, sizeof(double), ascending);
    printf("%.0f %.3f\n", messages / (last - start), latencies[commits * 99 / 100] * 1000);
    return 0;
}
