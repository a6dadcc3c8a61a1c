// Senders and readers of one room.
#pragma once

#include <memory>
#include <vector>

#include "meter.hpp"
#include "options.hpp"
#include "readers.hpp"
#include "transcript.hpp"

class Fanout : public CallHandler {
public:
    explicit Fanout(const Options& options);

    // The modes of the same names. They return the report; whether it counts is said by `sound`.
    Report closedLoop();
    Report bursts();
    Report paced();

    bool sound() const { return transcript_.faults().total() == 0; }

private:
    void onMessage(Connection& connection, uint32_t call, std::string_view message, int64_t now) override;
    void onEnd(Connection& connection, uint32_t call, int64_t now) override;

    void send(uint32_t sender, int64_t begun);
    void completed();
    void runWindows(uint32_t messages);
    void awaitAll();
    void beginMeasuring();
    Report report();

    Options options_;
    Loop loop_;
    Transcript transcript_;
    std::unique_ptr<Readers> readers_;
    Meter meter_;

    std::vector<std::unique_ptr<Connection>> senders_;
    // By sender and call: the message's number.
    std::vector<std::vector<uint32_t>> sent_;
    // By message: its sender.
    std::vector<uint32_t> senderOf_;
    // How many more messages are sent as others arrive.
    uint32_t remaining_ = 0;
    uint64_t answered_ = 0;
};
