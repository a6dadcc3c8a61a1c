#pragma once

#include "options.hpp"
#include "report.hpp"

// Opens readers, and holds them for a while in which nothing is sent: the memory and the processor time of the server.
Report idle(const Options& options);
