#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

struct Options {
    std::string mode;
    uint16_t port = 51075;
    uint32_t servers = 1;
    std::vector<pid_t> pids;
    uint32_t readers = 100;
    uint32_t connections = 1;
    uint32_t senders = 4;
    uint32_t window = 4;
    uint32_t messages = 10'000;
    uint32_t warmUp = 100;
    uint32_t burst = 300;
    uint32_t rate = 10;
    uint32_t stalled = 0;
    bool stalledSockets = false;
    uint32_t streams = 1;
    uint32_t textBytes = 32;
    bool keyed = false;
    uint32_t seconds = 5;
    uint32_t patience = 10;
    // What stands after `--`.
    std::vector<std::string> command;

    // Where connection number `index` goes: to each of the servers in turn.
    uint16_t portOf(uint32_t index) const { return static_cast<uint16_t>(port + index % servers); }
};

// Ends the program with a usage message if the arguments are wrong.
Options parseOptions(int count, char** arguments);
