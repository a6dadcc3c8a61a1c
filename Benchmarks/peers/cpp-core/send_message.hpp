#pragma once

#include <grpc/grpc.h>

#include "tag.hpp"

class EventLoop;

// A call of SendMessage. Two events: it has arrived, request included; and all is done.
class SendMessage : private Tag {
public:
    explicit SendMessage(EventLoop& loop) : loop_(loop) { grpc_metadata_array_init(&metadata_); }

    // Waits for a call to arrive.
    void listen();

private:
    void complete(bool ok) override;
    void answer();

    EventLoop& loop_;
    grpc_call* call_ = nullptr;
    gpr_timespec deadline_{};
    grpc_metadata_array metadata_;
    grpc_byte_buffer* request_ = nullptr;
    int cancelled_ = 0;
    bool arrived_ = false;
};
