// The messages of messenger.proto on the wire: just as much of protobuf as they need, without allocation on reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wire {

using Bytes = std::string_view;

inline void putVarint(std::string& out, uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<char>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<char>(value));
}

// proto3 leaves out what has its default value.
inline void putBytes(std::string& out, uint32_t field, Bytes bytes) {
    if (bytes.empty()) return;
    putVarint(out, field << 3 | 2);
    putVarint(out, bytes.size());
    out.append(bytes);
}

inline void putInteger(std::string& out, uint32_t field, int64_t value) {
    if (value == 0) return;
    putVarint(out, field << 3);
    putVarint(out, static_cast<uint64_t>(value));
}

constexpr int64_t nanosecondsPerSecond = 1'000'000'000;

inline void putTimestamp(std::string& out, uint32_t field, int64_t nanoseconds) {
    std::string timestamp;
    putInteger(timestamp, 1, nanoseconds / nanosecondsPerSecond);
    putInteger(timestamp, 2, nanoseconds % nanosecondsPerSecond);
    putBytes(out, field, timestamp);
}

// Walks the fields of a message. After next() has returned true, either `value` or `bytes` holds the field.
class Fields {
public:
    explicit Fields(Bytes message) : rest_(message) {}

    uint32_t number = 0;
    uint64_t value = 0;
    Bytes bytes;

    bool next() {
        uint64_t key;
        if (malformed_ || rest_.empty() || !take(key)) return false;
        number = static_cast<uint32_t>(key >> 3);
        switch (key & 7) {
        case 0: return take(value);
        case 1: return takeBytes(8);
        case 2: return take(value) && takeBytes(value);
        case 5: return takeBytes(4);
        default: return fail();
        }
    }

    // Why next() has returned false.
    bool malformed() const { return malformed_; }

private:
    bool fail() {
        malformed_ = true;
        return false;
    }

    bool take(uint64_t& varint) {
        varint = 0;
        for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
            const auto byte = static_cast<uint8_t>(rest_.front());
            rest_.remove_prefix(1);
            varint |= static_cast<uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return true;
        }
        return fail();
    }

    bool takeBytes(uint64_t count) {
        if (count > rest_.size()) return fail();
        bytes = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return true;
    }

    Bytes rest_;
    bool malformed_ = false;
};

struct Message {
    Bytes author;
    Bytes text;
    int64_t sendTime = 0;
};

inline bool decodeTimestamp(Bytes bytes, int64_t& nanoseconds) {
    nanoseconds = 0;
    Fields fields(bytes);
    while (fields.next()) {
        if (fields.number == 1) nanoseconds += static_cast<int64_t>(fields.value) * nanosecondsPerSecond;
        if (fields.number == 2) nanoseconds += static_cast<int64_t>(fields.value);
    }
    return !fields.malformed();
}

// Reads a Message, and a SendMessageRequest too: it has the same fields without the last.
inline bool decodeMessage(Bytes bytes, Message& message) {
    message = {};
    Fields fields(bytes);
    while (fields.next()) {
        if (fields.number == 1) message.author = fields.bytes;
        if (fields.number == 2) message.text = fields.bytes;
        if (fields.number == 3 && !decodeTimestamp(fields.bytes, message.sendTime)) return false;
    }
    return !fields.malformed();
}

inline bool decodeSendMessageResponse(Bytes bytes, int64_t& sendTime) {
    sendTime = 0;
    Fields fields(bytes);
    while (fields.next()) {
        if (fields.number == 1 && !decodeTimestamp(fields.bytes, sendTime)) return false;
    }
    return !fields.malformed();
}

inline std::string encodeSendMessageRequest(Bytes author, Bytes text, Bytes idempotencyKey = {}) {
    std::string out;
    putBytes(out, 1, author);
    putBytes(out, 2, text);
    putBytes(out, 3, idempotencyKey);
    return out;
}

inline std::string encodeMessage(const Message& message) {
    auto out = encodeSendMessageRequest(message.author, message.text);
    putTimestamp(out, 3, message.sendTime);
    return out;
}

inline std::string encodeSendMessageResponse(int64_t sendTime) {
    std::string out;
    putTimestamp(out, 1, sendTime);
    return out;
}

}  // namespace wire
