// The process itself. Linked into a program, this makes sure before `main` that the environment and the standard streams
// exist, that no signal ends or stops the process when it writes to them, that SIGTERM ends it also as process 1, and that
// it may start threads.
#pragma once

// `malloc_trim` and `mallinfo2`, which Swift's module of the C library leaves out.
#include <malloc.h>

// The command line, as the system handed it over: how many arguments there are, the program's name included.
int cprocess_argument_count(void);
// One of them.
const char *cprocess_argument(int index);
