#include "meter.hpp"

#include <ctime>
#include <fstream>
#include <string>

#include "loop.hpp"

namespace {

// All of a process's threads, user and system, those that have ended too: what /proc/PID/stat tells in hundredths of a
// second, in nanoseconds.
double processorSeconds(pid_t process) {
    clockid_t clock;
    timespec time{};
    if (clock_getcpuclockid(process, &clock) == 0) clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

int64_t residentKiB(pid_t process) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmRSS:", 0) == 0) return std::stoll(line.substr(6));
    }
    return 0;
}

}  // namespace

Meter::Reading Meter::read() const {
    Reading reading;
    reading.time = monotonicNow();
    reading.ownSeconds = processorSeconds(0);
    for (const auto server : servers_) {
        reading.serverSeconds += processorSeconds(server);
        reading.residentKiB += residentKiB(server);
    }
    return reading;
}

void Meter::start() { before_ = read(); }
void Meter::stop() { after_ = read(); }

void Meter::addTo(Report& report) const {
    report.add("seconds", seconds());
    report.add("load_cpu_seconds", after_.ownSeconds - before_.ownSeconds);
    if (servers_.empty()) return;
    report.add("server_cpu_seconds", serverSeconds());
    report.add("rss_before_kib", static_cast<double>(before_.residentKiB));
    report.add("rss_after_kib", static_cast<double>(after_.residentKiB));
}
