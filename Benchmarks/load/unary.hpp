// Calls of SendMessage, a fixed number at a time.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "connection.hpp"
#include "histogram.hpp"
#include "loop.hpp"
#include "options.hpp"
#include "report.hpp"

class Unary : public CallHandler {
public:
    explicit Unary(const Options& options);

    Report run();
    // Every call was answered, with a sendTime of its own.
    bool sound() const { return faults_ == 0; }

private:
    struct Call {
        int64_t begun;
        int64_t sendTime = 0;
    };

    void onMessage(Connection& connection, uint32_t call, std::string_view message, int64_t now) override;
    void onEnd(Connection& connection, uint32_t call, int64_t now) override;

    void begin(Connection& connection);
    // Empty if calls have none.
    std::string nextKey();
    void runCalls(uint32_t count);
    void checkSendTimes();

    Options options_;
    Loop loop_;
    std::vector<std::unique_ptr<Connection>> connections_;
    // By connection.
    std::vector<std::vector<Call>> calls_;
    // Tells the keys of one run from those of others.
    const uint64_t run_ = std::random_device{}();
    uint64_t begun_ = 0;
    uint32_t remaining_ = 0;
    uint32_t underWay_ = 0;
    uint64_t faults_ = 0;
    Histogram latencies_;
};
