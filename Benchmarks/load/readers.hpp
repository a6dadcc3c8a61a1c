// Streams of ReadMessages, open until the program ends.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "connection.hpp"
#include "loop.hpp"
#include "options.hpp"

class Readers : public CallHandler {
public:
    using Receive = std::function<void(uint32_t reader, std::string_view message, int64_t now)>;

    // Opens them, and returns once every server's side has said so by its initial metadata.
    Readers(Loop& loop, const Options& options, Receive receive);

    void onHeaders(Connection& connection, uint32_t call) override;
    void onMessage(Connection& connection, uint32_t call, std::string_view message, int64_t now) override;
    void onEnd(Connection& connection, uint32_t call, int64_t now) override;

private:
    bool isStalled(uint32_t reader) const { return reader >= reading_; }
    void open(uint32_t count, uint32_t connections, Connection::Options connection);

    Loop& loop_;
    const Options& options_;
    int64_t patience_;
    Receive receive_;
    std::vector<std::unique_ptr<Connection>> connections_;
    // By connection: the number of its first reader.
    std::vector<uint32_t> first_;
    uint32_t open_ = 0;
    // The readers from here on are stalled.
    uint32_t reading_ = UINT32_MAX;
};
