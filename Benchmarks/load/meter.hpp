// What a stretch of time cost: the server, and this program.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "report.hpp"

class Meter {
public:
    // `servers` are the process ids of those whose costs are wanted, together.
    explicit Meter(std::vector<pid_t> servers) : servers_(std::move(servers)) {}

    void start();
    void stop();
    double seconds() const { return static_cast<double>(after_.time - before_.time) / 1e9; }
    double serverSeconds() const { return after_.serverSeconds - before_.serverSeconds; }
    void addTo(Report& report) const;

private:
    struct Reading {
        int64_t time = 0;
        double serverSeconds = 0;
        double ownSeconds = 0;
        int64_t residentKiB = 0;
    };

    Reading read() const;

    std::vector<pid_t> servers_;
    Reading before_, after_;
};
