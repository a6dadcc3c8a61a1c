#include "transcript.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "wire.hpp"

namespace {
constexpr std::string_view author = "load";
constexpr size_t digits = 8;
}  // namespace

uint32_t Transcript::begin(int64_t now) {
    messages_.push_back({now, 0, static_cast<uint32_t>(positions_.size()) + 1, nowhere});
    return static_cast<uint32_t>(messages_.size() - 1);
}

// The message's number, and then as much as makes the size.
std::string Transcript::text(uint32_t message) const {
    char number[digits + 1];
    std::snprintf(number, sizeof number, "%08x", message);
    std::string text(number, digits);
    text.resize(std::max(textSize_, digits), '.');
    return text;
}

std::string Transcript::request(uint32_t message) const {
    return wire::encodeSendMessageRequest(author, text(message));
}

bool Transcript::acknowledged(uint32_t message, std::string_view response) {
    int64_t sendTime;
    auto& sent = messages_[message];
    if (!wire::decodeSendMessageResponse(response, sendTime) || sendTime == 0 || sent.sendTime != 0) ++faults_.altered;
    sent.sendTime = sendTime;
    return step(message);
}

bool Transcript::delivered(uint32_t reader, std::string_view bytes, int64_t now) {
    const auto position = positions_[reader];
    if (position < order_.size() && this->bytes(order_[position]) == bytes) return accept(reader, position, now);
    return unexpected(reader, bytes, now);
}

bool Transcript::accept(uint32_t reader, uint32_t position, int64_t now) {
    positions_[reader] = position + 1;
    const auto message = order_[position].message;
    latencies_.record(now - messages_[message].begun);
    return step(message);
}

// A message that is new to all readers, encoded in another way, or wrong.
bool Transcript::unexpected(uint32_t reader, std::string_view bytes, int64_t now) {
    wire::Message decoded;
    uint32_t number = nowhere;
    const bool sound = wire::decodeMessage(bytes, decoded) && decoded.text.size() >= digits &&
                       std::from_chars(decoded.text.data(), decoded.text.data() + digits, number, 16).ec == std::errc() &&
                       number < messages_.size() && decoded.author == author && decoded.text == text(number);
    if (!sound) {
        ++faults_.altered;
        return false;
    }

    auto& position = positions_[reader];
    auto& sent = messages_[number];
    if (sent.position == nowhere) {
        if (position < order_.size()) {
            ++faults_.reordered;
            return false;
        }
        if (!order_.empty() && decoded.sendTime <= order_.back().sendTime) ++faults_.reordered;
        sent.position = position;
        order_.push_back({received_.size(), static_cast<uint32_t>(bytes.size()), number, decoded.sendTime});
        received_.append(bytes);
        return accept(reader, position, now);
    }
    if (decoded.sendTime != order_[sent.position].sendTime) ++faults_.altered;
    if (sent.position < position) {
        ++faults_.duplicated;
        return false;
    }
    faults_.lost += sent.position - position;
    return accept(reader, sent.position, now);
}

bool Transcript::step(uint32_t message) {
    if (--messages_[message].missing != 0) return false;
    ++completed_;
    lastCompleted_ = message;
    return true;
}

Transcript::Faults Transcript::faults() const {
    auto faults = faults_;
    for (const auto position : positions_) faults.lost += messages_.size() - position;
    for (const auto& entry : order_) {
        if (messages_[entry.message].sendTime != entry.sendTime) ++faults.altered;
    }
    return faults;
}
