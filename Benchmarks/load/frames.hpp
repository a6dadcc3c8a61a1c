// HTTP/2 frames (RFC 9113, section 4.1) and the prefix of a gRPC message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace frames {

enum Type : uint8_t {
    data = 0,
    headers = 1,
    resetStream = 3,
    settings = 4,
    ping = 6,
    goAway = 7,
    windowUpdate = 8,
};

constexpr uint8_t endStream = 0x1;
constexpr uint8_t acknowledgement = 0x1;
constexpr uint8_t endHeaders = 0x4;
constexpr uint8_t padded = 0x8;

constexpr uint16_t settingHeaderTableSize = 1;
constexpr uint16_t settingEnablePush = 2;
constexpr uint16_t settingMaxConcurrentStreams = 3;
constexpr uint16_t settingInitialWindowSize = 4;

constexpr size_t headerSize = 9;
constexpr size_t messagePrefixSize = 5;
constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

inline uint32_t load32(const char* bytes) {
    uint32_t value;
    __builtin_memcpy(&value, bytes, sizeof value);
    return __builtin_bswap32(value);
}

inline uint32_t load24(const char* bytes) {
    const auto* octets = reinterpret_cast<const uint8_t*>(bytes);
    return static_cast<uint32_t>(octets[0]) << 16 | static_cast<uint32_t>(octets[1]) << 8 | octets[2];
}

inline uint16_t load16(const char* bytes) { return static_cast<uint16_t>(load32(bytes) >> 16); }

inline void put(std::string& out, uint32_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

inline void putHeader(std::string& out, size_t length, Type type, uint8_t flags, uint32_t stream) {
    put(out, static_cast<uint32_t>(length), 3);
    put(out, type, 1);
    put(out, flags, 1);
    put(out, stream, 4);
}

inline void putSetting(std::string& out, uint16_t name, uint32_t value) {
    put(out, name, 2);
    put(out, value, 4);
}

inline void putWindowUpdate(std::string& out, uint32_t increment) {
    putHeader(out, 4, windowUpdate, 0, 0);
    put(out, increment, 4);
}

inline void putMessage(std::string& out, std::string_view message) {
    out.push_back(0);  // not compressed
    put(out, static_cast<uint32_t>(message.size()), 4);
    out.append(message);
}

}  // namespace frames
