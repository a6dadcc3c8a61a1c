#include "fanout.hpp"

#include <algorithm>

#include "failure.hpp"
#include "methods.hpp"

Fanout::Fanout(const Options& options)
    : options_(options), transcript_(options.readers, options.textBytes), meter_(options.pids) {
    readers_ = std::make_unique<Readers>(loop_, options, [this](auto reader, auto message, auto now) {
        if (transcript_.delivered(reader, message, now)) completed();
    });
    Connection::Options connection;
    for (uint32_t sender = 0; sender < options.senders; ++sender) {
        connection.port = options.portOf(sender);
        senders_.push_back(std::make_unique<Connection>(loop_, *this, connection));
        senders_.back()->tag = sender;
    }
    sent_.resize(options.senders);
}

Report Fanout::closedLoop() {
    runWindows(options_.warmUp);
    beginMeasuring();
    runWindows(options_.messages);
    return report();
}

Report Fanout::bursts() {
    runWindows(options_.warmUp);
    beginMeasuring();
    for (uint32_t left = options_.messages; left > 0;) {
        const auto size = std::min(options_.burst, left);
        left -= size;
        const auto now = monotonicNow();
        for (uint32_t index = 0; index < size; ++index) send(index % options_.senders, now);
        awaitAll();
    }
    return report();
}

// Latency is counted from when a message should have been sent, so that a server which delays the sender is not flattered.
Report Fanout::paced() {
    runWindows(options_.warmUp);
    beginMeasuring();
    const auto interval = 1'000 * millisecond / options_.rate;
    const auto begun = monotonicNow();
    for (uint32_t index = 0; index < options_.messages; ++index) {
        const auto due = begun + index * interval;
        for (auto now = monotonicNow(); now < due; now = monotonicNow()) loop_.turn(due - now);
        send(index % options_.senders, due);
    }
    awaitAll();
    auto report = this->report();
    report.add("planned_seconds", static_cast<double>(options_.messages) / options_.rate);
    return report;
}

void Fanout::beginMeasuring() {
    transcript_.latencies().clear();
    meter_.start();
}

void Fanout::send(uint32_t sender, int64_t begun) {
    const auto message = transcript_.begin(begun);
    senderOf_.push_back(sender);
    senders_[sender]->call(methods::sendMessage, transcript_.request(message));
    sent_[sender].push_back(message);
}

void Fanout::completed() {
    if (remaining_ == 0) return;
    --remaining_;
    send(senderOf_[transcript_.lastCompleted()], monotonicNow());
}

// Keeps every sender's window full until that many messages are with all readers.
void Fanout::runWindows(uint32_t messages) {
    const auto atOnce = std::min(messages, options_.senders * options_.window);
    remaining_ = messages - atOnce;
    for (uint32_t index = 0; index < atOnce; ++index) send(index % options_.senders, monotonicNow());
    awaitAll();
}

void Fanout::awaitAll() {
    const auto done = [this] {
        return remaining_ == 0 && transcript_.completed() == transcript_.begun() && answered_ == transcript_.begun();
    };
    // Whatever is missing then shows in the transcript's faults.
    if (!loop_.runUntil(done, options_.patience * 1000 * millisecond)) {
        throw Failure("not everything has arrived: " + std::to_string(transcript_.faults().lost) + " deliveries and " +
                      std::to_string(transcript_.begun() - answered_) + " answers are missing");
    }
}

void Fanout::onMessage(Connection& connection, uint32_t call, std::string_view message, int64_t) {
    if (transcript_.acknowledged(sent_[connection.tag][call], message)) completed();
}

void Fanout::onEnd(Connection&, uint32_t, int64_t) { ++answered_; }

Report Fanout::report() {
    meter_.stop();
    // Time for what should not come: a duplicate of the last message.
    while (loop_.turn(20 * millisecond)) {
    }
    Report report;
    meter_.addTo(report);
    const auto faults = transcript_.faults();
    report.add("deliveries", transcript_.latencies().count());
    report.addLatencies(transcript_.latencies());
    report.add("lost", faults.lost);
    report.add("duplicated", faults.duplicated);
    report.add("reordered", faults.reordered);
    report.add("altered", faults.altered);
    return report;
}
