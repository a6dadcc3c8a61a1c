#include "room.hpp"

#include <algorithm>
#include <ctime>

#include "event_loop.hpp"
#include "wire.hpp"

int64_t Room::append(std::string_view author, std::string_view text) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const auto time = now.tv_sec * wire::nanosecondsPerSecond + now.tv_nsec;

    const std::lock_guard lock(mutex_);
    last_ = std::max(last_ + 1, time);
    const auto encoded = wire::encodeMessage({author, text, last_});
    const auto slice = grpc_slice_from_copied_buffer(encoded.data(), encoded.size());
    for (auto* loop : loops_) {
        // A loop that has been woken, or that is in the middle of a turn, takes all that is there by then.
        if (loop->inbox_.empty() && !loop->isCurrent()) loop->wake();
        loop->inbox_.push_back(grpc_slice_ref(slice));
    }
    grpc_slice_unref(slice);
    return last_;
}

void Room::take(EventLoop& loop, std::vector<grpc_slice>& messages) {
    const std::lock_guard lock(mutex_);
    messages.swap(loop.inbox_);
}
