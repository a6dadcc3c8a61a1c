#include "CProcess.h"

static int count = 0;
static char **arguments = 0;

extern char **environ;

// A preloaded library may have cleared the environment, and the Swift runtime reads it at its start without a look at the
// pointer. This runs before that, as its priority says, and after what is preloaded.
__attribute__((constructor(101))) static void keep_environment(void) {
    static char *nothing[] = {0};
    if (!environ) environ = nothing;
}

// glibc passes what main gets to each function that it runs before that.
__attribute__((constructor)) static void keep(int main_count, char **main_arguments) {
    count = main_count;
    arguments = main_arguments;
}

int cprocess_argument_count(void) { return count; }

const char *cprocess_argument(int index) { return arguments[index]; }
