#include "command_line.h"

#if defined(__linux__)
#include <features.h>
#endif

static int count = 0;
static char **arguments = 0;

// glibc passes what main gets to each function that it runs before that. Other C libraries do not.
#ifdef __GLIBC__
__attribute__((constructor)) static void keep(int main_count, char **main_arguments) {
    count = main_count;
    arguments = main_arguments;
}
#endif

int ccommand_line_count(void) { return count; }

const char *ccommand_line_argument(int index) { return arguments[index]; }
