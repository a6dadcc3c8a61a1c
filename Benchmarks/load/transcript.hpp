// What was sent, what each reader got, and whether the two agree: every reader sees every message once, unaltered, in the
// order of sendTime.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.hpp"

class Transcript {
public:
    struct Faults {
        uint64_t lost = 0;
        uint64_t duplicated = 0;
        uint64_t reordered = 0;
        // Not what was sent, or not what the sender was told.
        uint64_t altered = 0;

        uint64_t total() const { return lost + duplicated + reordered + altered; }
    };

    Transcript(size_t readers, size_t textSize) : textSize_(textSize), positions_(readers, 0) {}

    // A message begins its way at this time. Returns its number.
    uint32_t begin(int64_t now);
    std::string request(uint32_t message) const;

    // These two return whether the message is now acknowledged and with every reader.
    bool acknowledged(uint32_t message, std::string_view response);
    bool delivered(uint32_t reader, std::string_view bytes, int64_t now);

    // To be asked at the end: what is still missing counts as lost.
    Faults faults() const;

    uint64_t begun() const { return messages_.size(); }
    uint64_t completed() const { return completed_; }
    // Which of the messages was completed last.
    uint32_t lastCompleted() const { return lastCompleted_; }
    Histogram& latencies() { return latencies_; }

private:
    static constexpr uint32_t nowhere = UINT32_MAX;

    struct Sent {
        int64_t begun;
        int64_t sendTime = 0;
        // Readers still to come, and the acknowledgement.
        uint32_t missing;
        uint32_t position = nowhere;
    };

    // The room's order, as the first reader that gets so far tells it.
    struct Entry {
        size_t offset;
        uint32_t size;
        uint32_t message;
        int64_t sendTime;
    };

    std::string text(uint32_t message) const;
    std::string_view bytes(const Entry& entry) const { return {received_.data() + entry.offset, entry.size}; }
    bool accept(uint32_t reader, uint32_t position, int64_t now);
    bool unexpected(uint32_t reader, std::string_view bytes, int64_t now);
    bool step(uint32_t message);

    size_t textSize_;
    std::vector<Sent> messages_;
    std::vector<Entry> order_;
    std::string received_;
    // By reader: the place in the order of the message it should get next.
    std::vector<uint32_t> positions_;
    uint64_t completed_ = 0;
    uint32_t lastCompleted_ = 0;
    Faults faults_;
    Histogram latencies_;
};
