#include "stream_group.hpp"

#include <algorithm>

#include "event_loop.hpp"

void StreamGroup::listen() {
    ++members_;
    ReadMessages::listen(*this);
}

void StreamGroup::add(std::unique_ptr<ReadMessages> stream) { streams_.push_back(std::move(stream)); }

void StreamGroup::remove(ReadMessages& stream) {
    const auto found =
        std::find_if(streams_.begin(), streams_.end(), [&](const auto& other) { return other.get() == &stream; });
    std::swap(*found, streams_.back());
    streams_.pop_back();
    --members_;
}

bool StreamGroup::run(bool toTheLast) {
    if (told_ != loop_.end()) {
        told_ = loop_.end();
        for (auto& stream : streams_) stream->sendNext();
    }
    bool any = false;
    const auto now = gpr_inf_past(GPR_CLOCK_MONOTONIC);
    while (sending_ > 0 || (toTheLast && !streams_.empty())) {
        const auto event = grpc_completion_queue_next(queue_, now, nullptr);
        if (event.type != GRPC_OP_COMPLETE) break;
        any = true;
        static_cast<Tag*>(event.tag)->complete(event.success != 0);
    }
    return any;
}

uint64_t StreamGroup::firstNeeded() const {
    auto first = loop_.end();
    for (const auto& stream : streams_) first = std::min(first, stream->next());
    return first;
}
