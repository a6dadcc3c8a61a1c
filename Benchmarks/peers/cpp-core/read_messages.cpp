#include "read_messages.hpp"

#include <grpc/byte_buffer.h>

#include <memory>

#include "event_loop.hpp"
#include "stream_group.hpp"

ReadMessages::ReadMessages(StreamGroup& group) : group_(group) { grpc_metadata_array_init(&metadata_); }

ReadMessages::~ReadMessages() {
    grpc_byte_buffer_destroy(request_);
    grpc_metadata_array_destroy(&metadata_);
    if (call_ != nullptr) grpc_call_unref(call_);
}

void ReadMessages::listen(StreamGroup& group) {
    auto* stream = new ReadMessages(group);
    const auto& methods = group.loop().methods();
    grpc_server_request_registered_call(methods.server, methods.readMessages, &stream->call_, &stream->deadline_,
                                        &stream->metadata_, &stream->request_, group.queue(), group.loop().queue(),
                                        static_cast<Tag*>(&stream->arrival_));
}

// From here on the stream gets every message that the room accepts, and its initial metadata says so.
void ReadMessages::onArrival(bool ok) {
    std::unique_ptr<ReadMessages> self(this);
    if (!ok) return;
    group_.loop().listenForReadMessages();
    group_.loop().takeInbox();
    next_ = group_.loop().end();

    grpc_op close{};
    close.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    close.data.recv_close_on_server.cancelled = &cancelled_;
    grpc_call_start_batch(call_, &close, 1, static_cast<Tag*>(&close_), nullptr);

    grpc_op open{};
    open.op = GRPC_OP_SEND_INITIAL_METADATA;
    isSending_ = true;
    group_.sendStarted();
    grpc_call_start_batch(call_, &open, 1, static_cast<Tag*>(&send_), nullptr);
    group_.add(std::move(self));
}

void ReadMessages::sendNext() {
    auto& loop = group_.loop();
    if (isSending_ || isClosed_ || next_ == loop.end()) return;
    auto slice = loop.message(next_++);
    auto* buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_op op{};
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = buffer;
    // With more to come the transport need not write yet.
    if (next_ != loop.end()) {
        op.flags = GRPC_WRITE_BUFFER_HINT;
    } else {
        loop.corks().beforeWrite(call_);
    }
    isSending_ = true;
    group_.sendStarted();
    grpc_call_start_batch(call_, &op, 1, static_cast<Tag*>(&send_), nullptr);
    grpc_byte_buffer_destroy(buffer);
}

void ReadMessages::onSent(bool ok) {
    isSending_ = false;
    group_.sendEnded();
    if (ok) sendNext();
    leaveIfDone();
}

void ReadMessages::onClose(bool) {
    isClosed_ = true;
    leaveIfDone();
}

void ReadMessages::leaveIfDone() {
    if (isClosed_ && !isSending_) group_.remove(*this);
}
