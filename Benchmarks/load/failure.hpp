#pragma once

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

// The run does not count, and why.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline Failure systemFailure(const std::string& doing) { return Failure(doing + ": " + std::strerror(errno)); }
