// Waits for connections to become readable or writable, in one thread.
#pragma once

#include <cstdint>
#include <vector>

class Connection;

constexpr int64_t millisecond = 1'000'000;

// Monotonic time in nanoseconds.
int64_t monotonicNow();

class Loop {
public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Sends what is queued, waits for at most `nanoseconds` and handles what has arrived. True if anything has.
    bool turn(int64_t nanoseconds);

    // Turns until the condition holds; false if nothing has arrived for `patience` nanoseconds.
    template <typename Condition>
    bool runUntil(Condition condition, int64_t patience) {
        auto last = monotonicNow();
        while (!condition()) {
            if (turn(100 * millisecond)) {
                last = monotonicNow();
            } else if (monotonicNow() - last > patience) {
                return false;
            }
        }
        return true;
    }

    // No longer reads from the connection.
    void ignore(Connection& connection);

private:
    friend class Connection;

    void add(Connection& connection);
    void forget(Connection& connection);
    void watchWrites(Connection& connection, bool watch);
    void flushLater(Connection& connection) { queued_.push_back(&connection); }
    void flush();

    int epoll_;
    std::vector<Connection*> queued_;
    std::vector<char> buffer_;
};
