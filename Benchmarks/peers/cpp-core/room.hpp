#pragma once

#include <grpc/slice.h>

#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

class EventLoop;

// Gives each message its place in the one order, and hands it to every loop, encoded once.
class Room {
public:
    void add(EventLoop& loop) { loops_.push_back(&loop); }

    // Returns the message's sendTime, in nanoseconds.
    int64_t append(std::string_view author, std::string_view text);

    // Takes what has come for the loop since it asked last. The caller owns the slices.
    void take(EventLoop& loop, std::vector<grpc_slice>& messages);

private:
    std::mutex mutex_;
    std::vector<EventLoop*> loops_;
    int64_t last_ = 0;
};
