// Latencies, counted in buckets of 1.6 % width: constant memory, a few instructions per value.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

class Histogram {
public:
    void record(int64_t nanoseconds) {
        const auto value = static_cast<uint64_t>(std::max<int64_t>(nanoseconds, 0));
        ++buckets_[bucket(value)];
        ++count_;
        max_ = std::max(max_, value);
    }

    void clear() { *this = {}; }

    uint64_t count() const { return count_; }
    double maxMicroseconds() const { return static_cast<double>(max_) / 1000; }

    double percentileMicroseconds(double percent) const {
        const auto wanted = static_cast<uint64_t>(static_cast<double>(count_) * percent / 100);
        uint64_t seen = 0;
        for (size_t index = 0; index < buckets_.size(); ++index) {
            seen += buckets_[index];
            if (seen > wanted) return static_cast<double>(std::min(lowerBound(index), max_)) / 1000;
        }
        return maxMicroseconds();
    }

private:
    static constexpr unsigned bits = 6;
    static constexpr uint64_t perDoubling = 1U << bits;

    static size_t bucket(uint64_t value) {
        if (value < perDoubling) return value;
        const unsigned shift = 63U - static_cast<unsigned>(__builtin_clzll(value)) - bits;
        return (shift + 1) * perDoubling + (value >> shift) - perDoubling;
    }

    static uint64_t lowerBound(size_t index) {
        if (index < perDoubling) return index;
        const auto shift = index / perDoubling - 1;
        return (index % perDoubling + perDoubling) << shift;
    }

    std::array<uint64_t, (64 - bits + 1) * perDoubling> buckets_{};
    uint64_t count_ = 0;
    uint64_t max_ = 0;
};
