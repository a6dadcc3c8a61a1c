#include "send_message.hpp"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>

#include <array>
#include <optional>

#include "event_loop.hpp"
#include "room.hpp"
#include "wire.hpp"

namespace {

// A request that is malformed gives nothing.
std::optional<int64_t> append(Room& room, grpc_byte_buffer* request) {
    if (request == nullptr) return std::nullopt;
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, request)) return std::nullopt;
    const auto slice = grpc_byte_buffer_reader_readall(&reader);
    const wire::Bytes bytes(reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice));
    std::optional<int64_t> sendTime;
    if (wire::Message message; wire::decodeMessage(bytes, message)) sendTime = room.append(message.author, message.text);
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    return sendTime;
}

}  // namespace

void SendMessage::listen() {
    arrived_ = false;
    metadata_.count = 0;
    grpc_server_request_registered_call(loop_.methods().server, loop_.methods().sendMessage, &call_, &deadline_,
                                        &metadata_, &request_, loop_.queue(), loop_.queue(), static_cast<Tag*>(this));
}

void SendMessage::complete(bool ok) {
    if (!arrived_) {
        if (!ok) return;
        arrived_ = true;
        loop_.listenForSendMessage();
        answer();
    } else {
        grpc_call_unref(call_);
        loop_.recycle(*this);
    }
}

void SendMessage::answer() {
    const auto sendTime = append(loop_.room(), request_);
    grpc_byte_buffer_destroy(request_);
    request_ = nullptr;

    // Without initializers, which warn for every field that is left out.
    std::array<grpc_op, 4> ops{};
    size_t count = 0;
    ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[count].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[count++].data.recv_close_on_server.cancelled = &cancelled_;
    ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[count++].data.send_status_from_server.status = sendTime ? GRPC_STATUS_OK : GRPC_STATUS_INVALID_ARGUMENT;
    grpc_byte_buffer* response = nullptr;
    if (sendTime) {
        const auto encoded = wire::encodeSendMessageResponse(*sendTime);
        auto slice = grpc_slice_from_copied_buffer(encoded.data(), encoded.size());
        response = grpc_raw_byte_buffer_create(&slice, 1);
        grpc_slice_unref(slice);
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = response;
    }
    loop_.corks().beforeWrite(call_);
    grpc_call_start_batch(call_, ops.data(), count, static_cast<Tag*>(this), nullptr);
    grpc_byte_buffer_destroy(response);
}
