// The client's side of one HTTP/2 connection, with as much of the protocol as gRPC calls need.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "hpack.hpp"

class Connection;
class Loop;

// What happens to the calls of a connection. A call is named by its number on the connection: 0, 1, 2, …
class CallHandler {
public:
    virtual ~CallHandler() = default;
    virtual void onHeaders(Connection&, uint32_t /*call*/) {}
    virtual void onMessage(Connection&, uint32_t call, std::string_view message, int64_t now) = 0;
    virtual void onEnd(Connection&, uint32_t call, int64_t now) = 0;
};

class Connection {
public:
    struct Options {
        uint16_t port = 0;
        // What the server may send on each stream before it hears from us; we never extend it.
        uint32_t streamWindow = 0x7fffffff;
        // The kernel's receive buffer; 0 leaves it as it is.
        int receiveBuffer = 0;
    };

    // Connects, or throws Failure.
    Connection(Loop& loop, CallHandler& handler, const Options& options);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Starts a call with its one request message, and returns its number. Sent at the end of the loop's turn.
    uint32_t call(std::string_view method, std::string_view message);

    // The server has sent its settings.
    bool ready() const { return ready_; }
    int socket() const { return socket_; }
    // What the owner knows it by.
    uint32_t tag = 0;

private:
    friend class Loop;

    void receive();
    void flush();
    void queue(std::string_view bytes);
    void sendUnblocked();
    void ended(uint32_t call, int64_t now);

    size_t parse(std::string_view input, int64_t now);
    void onFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload, int64_t now);
    void onData(uint32_t call, std::string_view payload, int64_t now);
    void onSettings(std::string_view payload);

    Loop& loop_;
    CallHandler& handler_;
    int socket_;
    bool ready_ = false;
    bool isQueued_ = false;
    bool waitsForWrite_ = false;
    uint32_t nextCall_ = 0;
    uint64_t received_ = 0;
    int64_t sendWindow_ = 65'535;
    std::string authority_;
    std::string input_;
    std::string output_;
    HeaderEncoder headers_;

    struct Blocked {
        std::string frames;
        size_t size;
    };
    // Calls that the connection's flow-control window has no room for, or the server not before others have ended.
    std::deque<Blocked> blocked_;
    uint32_t open_ = 0;
    // Until the server says otherwise. Some never do, and end a connection that has more.
    uint32_t mostOpen_ = 100;
    // Messages of which only a part has arrived, by call.
    std::unordered_map<uint32_t, std::string> partial_;
};
