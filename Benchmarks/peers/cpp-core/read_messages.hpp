#pragma once

#include <grpc/grpc.h>

#include <cstdint>

#include "tag.hpp"

class StreamGroup;

// A call of ReadMessages: a cursor into the loop's messages.
class ReadMessages {
public:
    ReadMessages(const ReadMessages&) = delete;
    ReadMessages& operator=(const ReadMessages&) = delete;
    ~ReadMessages();

    // Waits for a call to arrive, which then joins the group.
    static void listen(StreamGroup& group);

    // Sends one message, if there is one and none is on its way.
    void sendNext();
    uint64_t next() const { return next_; }

private:
    // Operations of which one call has several at a time.
    struct Operation : Tag {
        using Handler = void (ReadMessages::*)(bool);
        Operation(ReadMessages& owner, Handler handler) : owner(owner), handler(handler) {}
        void complete(bool ok) override { (owner.*handler)(ok); }
        ReadMessages& owner;
        Handler handler;
    };

    explicit ReadMessages(StreamGroup& group);

    void onArrival(bool ok);
    void onSent(bool ok);
    void onClose(bool ok);
    void leaveIfDone();

    StreamGroup& group_;
    grpc_call* call_ = nullptr;
    gpr_timespec deadline_{};
    grpc_metadata_array metadata_;
    grpc_byte_buffer* request_ = nullptr;
    Operation arrival_{*this, &ReadMessages::onArrival};
    Operation send_{*this, &ReadMessages::onSent};
    Operation close_{*this, &ReadMessages::onClose};
    int cancelled_ = 0;
    bool isSending_ = false;
    bool isClosed_ = false;
    uint64_t next_ = 0;
};
