// The command line, as the system handed it over.
#pragma once

// How many arguments there are, the program's name included; 0 where the C library does not tell.
int ccommand_line_count(void);
// One of them.
const char *ccommand_line_argument(int index);
