// A neutral load for any server of messenger.proto: plain HTTP/2 frames on sockets, no gRPC library. It checks everything
// that it gets, and a run in which anything is wrong does not count.
#include <cstdio>
#include <functional>
#include <map>

#include "failure.hpp"
#include "fanout.hpp"
#include "first.hpp"
#include "idle.hpp"
#include "options.hpp"
#include "unary.hpp"

namespace {

// The report of a run that was done without failure, and whether all was as it should be.
struct Outcome {
    Report report;
    bool sound;
};

template <typename Workload>
Outcome run(const Options& options, Report (Workload::*mode)()) {
    Workload workload(options);
    auto report = (workload.*mode)();
    return {report, workload.sound()};
}

const std::map<std::string, std::function<Outcome(const Options&)>> modes{
    {"fanout", [](auto& options) { return run(options, &Fanout::closedLoop); }},
    {"burst", [](auto& options) { return run(options, &Fanout::bursts); }},
    {"paced", [](auto& options) { return run(options, &Fanout::paced); }},
    {"unary", [](auto& options) { return run(options, &Unary::run); }},
    {"idle", [](auto& options) { return Outcome{idle(options), true}; }},
    {"first", [](auto& options) { return Outcome{first(options), true}; }},
};

}  // namespace

int main(int count, char** arguments) {
    const auto options = parseOptions(count, arguments);
    const auto mode = modes.find(options.mode);
    if (mode == modes.end()) {
        std::fprintf(stderr, "%s: no such mode; messenger-load without arguments lists them\n", options.mode.c_str());
        return 64;
    }
    try {
        auto outcome = mode->second(options);
        if (!outcome.sound) outcome.report.addError("the readers did not get what was sent");
        outcome.report.print();
        return outcome.sound ? 0 : 1;
    } catch (const Failure& failure) {
        Report report;
        report.addError(failure.what());
        report.print();
        return 1;
    }
}
