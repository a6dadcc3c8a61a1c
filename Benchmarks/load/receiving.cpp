// What a connection makes of the bytes that arrive.
#include "connection.hpp"
#include "failure.hpp"
#include "frames.hpp"
#include "loop.hpp"

namespace {

constexpr uint32_t refill = 1U << 30;

// Ours hold well below 1 MiB; more means that the stream is out of step.
constexpr uint32_t largestMessage = 1U << 20;

}  // namespace

// Handles the complete frames at the beginning of the input, and returns how many bytes they take.
size_t Connection::parse(std::string_view input, int64_t now) {
    size_t taken = 0;
    while (input.size() - taken >= frames::headerSize) {
        const char* header = input.data() + taken;
        const size_t length = frames::load24(header);
        if (input.size() - taken < frames::headerSize + length) break;
        const auto type = static_cast<uint8_t>(header[3]);
        const auto flags = static_cast<uint8_t>(header[4]);
        const auto stream = frames::load32(header + 5) & 0x7fffffff;
        onFrame(type, flags, stream, input.substr(taken + frames::headerSize, length), now);
        taken += frames::headerSize + length;
    }
    return taken;
}

void Connection::onFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload, int64_t now) {
    const uint32_t call = stream / 2;
    switch (type) {
    case frames::data:
        received_ += payload.size();
        if (received_ > refill) {
            std::string update;
            frames::putWindowUpdate(update, static_cast<uint32_t>(received_));
            queue(update);
            received_ = 0;
        }
        if (flags & frames::padded) throw Failure("padded DATA, which gRPC servers do not send");
        onData(call, payload, now);
        if (flags & frames::endStream) ended(call, now);
        break;
    case frames::headers:
        // What the headers say is left unread: a call that fails is seen by its having no answer.
        handler_.onHeaders(*this, call);
        if (flags & frames::endStream) ended(call, now);
        break;
    case frames::resetStream:
        // After a complete answer there may be one without an error.
        if (frames::load32(payload.data()) != 0) ended(call, now);
        break;
    case frames::settings:
        if (!(flags & frames::acknowledgement)) onSettings(payload);
        break;
    case frames::ping:
        if (!(flags & frames::acknowledgement)) {
            std::string answer;
            frames::putHeader(answer, payload.size(), frames::ping, frames::acknowledgement, 0);
            answer.append(payload);
            queue(answer);
        }
        break;
    case frames::goAway:
        throw Failure("the server has sent GOAWAY, error " + std::to_string(frames::load32(payload.data() + 4)));
    case frames::windowUpdate:
        if (stream != 0) break;
        sendWindow_ += frames::load32(payload.data()) & 0x7fffffff;
        sendUnblocked();
        break;
    default:
        break;
    }
}

void Connection::ended(uint32_t call, int64_t now) {
    --open_;
    handler_.onEnd(*this, call, now);
    sendUnblocked();
}

// A DATA frame may hold several messages, and a message may be spread over several frames.
void Connection::onData(uint32_t call, std::string_view payload, int64_t now) {
    std::string joined;
    if (!partial_.empty()) {
        if (const auto found = partial_.find(call); found != partial_.end()) {
            joined = std::move(found->second);
            partial_.erase(found);
            joined.append(payload);
            payload = joined;
        }
    }
    while (payload.size() >= frames::messagePrefixSize) {
        const size_t length = frames::load32(payload.data() + 1);
        if (length > largestMessage || payload[0] != 0) throw Failure("a message that is compressed or far too long");
        if (payload.size() < frames::messagePrefixSize + length) break;
        handler_.onMessage(*this, call, payload.substr(frames::messagePrefixSize, length), now);
        payload.remove_prefix(frames::messagePrefixSize + length);
    }
    if (!payload.empty()) partial_.emplace(call, payload);
}

void Connection::onSettings(std::string_view payload) {
    for (; payload.size() >= 6; payload.remove_prefix(6)) {
        const auto name = frames::load16(payload.data());
        const auto value = frames::load32(payload.data() + 2);
        if (name == frames::settingHeaderTableSize && value < 1024) throw Failure("the server's HPACK table is small");
        if (name == frames::settingMaxConcurrentStreams) mostOpen_ = value;
    }
    std::string answer;
    frames::putHeader(answer, 0, frames::settings, frames::acknowledgement, 0);
    queue(answer);
    ready_ = true;
}
