#include "event_loop.hpp"

#include <algorithm>

#include "room.hpp"

namespace {

constexpr int sendMessageSlots = 128;
constexpr int readMessagesSlots = 64;
constexpr int eventsPerTurn = 256;

gpr_timespec in(int64_t milliseconds) {
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(milliseconds, GPR_TIMESPAN));
}

}  // namespace

EventLoop::EventLoop(Room& room, bool corking)
    : room_(room), corks_(corking), queue_(grpc_completion_queue_create_for_next(nullptr)) {
    // An empty batch completes at once; a call that goes nowhere gives it a queue to complete on.
    auto* channel = grpc_lame_client_channel_create(nullptr, GRPC_STATUS_UNAVAILABLE, "wake-up");
    wakeUpCall_ = grpc_channel_create_call(channel, nullptr, 0, queue_, grpc_slice_from_static_string("/"), nullptr,
                                           gpr_inf_future(GPR_CLOCK_MONOTONIC), nullptr);
    room_.add(*this);
}

void EventLoop::start(const Methods& methods) {
    methods_ = methods;
    for (int slot = 0; slot < sendMessageSlots; ++slot) listenForSendMessage();
    for (int slot = 0; slot < readMessagesSlots; ++slot) listenForReadMessages();
    thread_ = std::thread([this] { run(); });
}

void EventLoop::wake() { grpc_call_start_batch(wakeUpCall_, nullptr, 0, static_cast<Tag*>(this), nullptr); }

void EventLoop::listenForSendMessage() {
    if (idleCalls_.empty()) idleCalls_.push_back(new SendMessage(*this));
    auto* call = idleCalls_.back();
    idleCalls_.pop_back();
    call->listen();
}

void EventLoop::listenForReadMessages() {
    const auto group = std::find_if(groups_.rbegin(), groups_.rend(), [](auto& group) { return group->hasRoom(); });
    if (group != groups_.rend()) {
        (*group)->listen();
    } else {
        groups_.push_back(std::make_unique<StreamGroup>(*this));
        groups_.back()->listen();
    }
}

void EventLoop::run() {
    threadId_ = std::this_thread::get_id();
    for (;;) turn(deadline());
}

void EventLoop::turn(gpr_timespec deadline) {
    auto event = grpc_completion_queue_next(queue_, deadline, nullptr);
    const bool quiet = event.type != GRPC_OP_COMPLETE;
    for (int taken = 0; event.type == GRPC_OP_COMPLETE; ++taken) {
        static_cast<Tag*>(event.tag)->complete(event.success != 0);
        if (taken == eventsPerTurn) break;
        event = grpc_completion_queue_next(queue_, gpr_inf_past(GPR_CLOCK_MONOTONIC), nullptr);
    }
    takeInbox();
    lookIntoGroups(quiet);
    corks_.release();
    trim();
}

// The groups' queues do not end the wait on the main one. Most sends are complete as soon as they are started; what
// remains waits for a peer, or for another thread that has the connection: the first is soon over, the second may last.
gpr_timespec EventLoop::deadline() const {
    constexpr int64_t longestWait = 250;
    const bool sending = std::any_of(groups_.begin(), groups_.end(), [](auto& group) { return group->sending() > 0; });
    if (!sending) return in(longestWait);
    if (looksInVain_ < 3) return gpr_inf_past(GPR_CLOCK_MONOTONIC);
    return in(std::min<int64_t>(longestWait, looksInVain_ - 2));
}

// To find that a queue is empty costs more than an event, so that streams which have been closed wait for a quiet moment.
void EventLoop::lookIntoGroups(bool quiet) {
    bool progress = false;
    for (auto& group : groups_) progress |= group->run(quiet);
    looksInVain_ = progress ? 0 : looksInVain_ + 1;
}

void EventLoop::takeInbox() {
    room_.take(*this, taken_);
    log_.insert(log_.end(), taken_.begin(), taken_.end());
    taken_.clear();
}

// Forgets what every stream has sent; at growing sizes, so that it costs little for each message.
void EventLoop::trim() {
    if (log_.size() < trimAt_) return;
    auto needed = end();
    for (const auto& group : groups_) needed = std::min(needed, group->firstNeeded());
    for (; first_ < needed; ++first_) {
        grpc_slice_unref(log_.front());
        log_.pop_front();
    }
    trimAt_ = std::max<size_t>(1024, 2 * log_.size());
}
