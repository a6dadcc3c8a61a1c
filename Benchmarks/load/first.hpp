#pragma once

#include "options.hpp"
#include "report.hpp"

// Runs a server's program, and times it from exec to its first answer. Then stops the server.
Report first(const Options& options);
