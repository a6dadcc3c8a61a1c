#include "idle.hpp"

#include "meter.hpp"
#include "readers.hpp"
#include "unary.hpp"

namespace {

void wait(Loop& loop, uint32_t seconds) {
    const auto end = monotonicNow() + seconds * 1000 * millisecond;
    for (auto now = monotonicNow(); now < end; now = monotonicNow()) loop.turn(end - now);
}

}  // namespace

Report idle(const Options& options) {
    // What a server allocates once, on its first calls, is not the readers'.
    auto warmUp = options;
    warmUp.connections = 1;
    warmUp.messages = 100;
    Unary(warmUp).run();

    Loop loop;
    Meter opening(options.pids);
    opening.start();
    Readers readers(loop, options, nullptr);
    wait(loop, 1);
    opening.stop();
    Meter holding(options.pids);
    holding.start();
    wait(loop, options.seconds);
    holding.stop();

    Report report;
    opening.addTo(report);
    report.add("idle_seconds", holding.seconds());
    report.add("idle_cpu_seconds", holding.serverSeconds());
    return report;
}
