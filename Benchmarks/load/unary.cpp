#include "unary.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "failure.hpp"
#include "meter.hpp"
#include "methods.hpp"
#include "wire.hpp"

Unary::Unary(const Options& options) : options_(options), calls_(options.connections) {
    Connection::Options connection;
    for (uint32_t index = 0; index < options.connections; ++index) {
        connection.port = options.portOf(index);
        connections_.push_back(std::make_unique<Connection>(loop_, *this, connection));
        connections_.back()->tag = index;
    }
}

Report Unary::run() {
    runCalls(options_.warmUp);
    latencies_.clear();
    Meter meter(options_.pids);
    meter.start();
    runCalls(options_.messages);
    meter.stop();
    checkSendTimes();

    Report report;
    meter.addTo(report);
    report.add("calls", latencies_.count());
    report.addLatencies(latencies_);
    report.add("faults", faults_);
    return report;
}

void Unary::begin(Connection& connection) {
    if (remaining_ == 0) return;
    --remaining_;
    ++underWay_;
    calls_[connection.tag].push_back({monotonicNow(), 0});
    const auto request = wire::encodeSendMessageRequest("load", std::string(options_.textBytes, '.'), nextKey());
    connection.call(methods::sendMessage, request);
}

std::string Unary::nextKey() {
    if (!options_.keyed) return {};
    // As long as those of our client.
    char key[33];
    std::snprintf(key, sizeof key, "%016" PRIx64 "%016" PRIx64, run_, ++begun_);
    return key;
}

void Unary::runCalls(uint32_t count) {
    remaining_ = count;
    for (uint32_t stream = 0; stream < options_.streams; ++stream) {
        for (auto& connection : connections_) begin(*connection);
    }
    if (!loop_.runUntil([this] { return underWay_ == 0; }, options_.patience * 1000 * millisecond)) {
        throw Failure("calls without an answer: " + std::to_string(underWay_));
    }
}

void Unary::onMessage(Connection& connection, uint32_t call, std::string_view message, int64_t) {
    if (!wire::decodeSendMessageResponse(message, calls_[connection.tag][call].sendTime)) ++faults_;
}

void Unary::onEnd(Connection& connection, uint32_t call, int64_t now) {
    latencies_.record(now - calls_[connection.tag][call].begun);
    --underWay_;
    begin(connection);
}

void Unary::checkSendTimes() {
    std::vector<int64_t> times;
    for (const auto& calls : calls_) {
        for (const auto& call : calls) times.push_back(call.sendTime);
    }
    // With one call at a time their order is known too.
    if (options_.connections * options_.streams > 1) std::sort(times.begin(), times.end());
    for (size_t index = 0; index < times.size(); ++index) {
        if (times[index] <= (index == 0 ? 0 : times[index - 1])) ++faults_;
    }
}
