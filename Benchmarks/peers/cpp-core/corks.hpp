#pragma once

#include <grpc/grpc.h>

#include <cstdint>
#include <vector>

// Holds back what is written to a connection until the end of the loop's turn, so that it leaves in one piece. From the
// second write on: a lone answer is not delayed.
class Corks {
public:
    explicit Corks(bool enabled) : enabled_(enabled) {}

    // Something is about to be sent on a call, and is not held back by the transport.
    void beforeWrite(grpc_call* call);
    // The turn is over.
    void release();

private:
    struct Connection {
        uint64_t turn = 0;
        uint32_t writes = 0;
    };

    bool enabled_;
    uint64_t turn_ = 1;
    // By file descriptor.
    std::vector<Connection> connections_;
    std::vector<int> corked_;
};
