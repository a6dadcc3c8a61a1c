#pragma once

#include <grpc/grpc.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "corks.hpp"
#include "send_message.hpp"
#include "stream_group.hpp"
#include "tag.hpp"

class Room;

struct Methods {
    grpc_server* server;
    void* sendMessage;
    void* readMessages;
};

// One thread that polls one completion queue. It works in turns: all events that are there, then the messages that have
// come for its streams, then the corks.
class EventLoop : private Tag {
public:
    EventLoop(Room& room, bool corking);

    grpc_completion_queue* queue() const { return queue_; }
    Room& room() { return room_; }
    const Methods& methods() const { return methods_; }
    Corks& corks() { return corks_; }

    void start(const Methods& methods);
    void join() { thread_.join(); }

    // Lets the thread take its inbox. One wake-up is under way at a time: the room asks only when the inbox is empty.
    void wake();
    bool isCurrent() const { return threadId_ == std::this_thread::get_id(); }

    // A SendMessage call has arrived: another may.
    void listenForSendMessage();
    void recycle(SendMessage& call) { idleCalls_.push_back(&call); }
    // The same for ReadMessages. The stream's group has no room for another, or may have.
    void listenForReadMessages();

    // The messages for the streams, by their number on this loop.
    uint64_t end() const { return first_ + log_.size(); }
    const grpc_slice& message(uint64_t number) const { return log_[number - first_]; }
    void takeInbox();

private:
    friend class Room;

    void run();
    void turn(gpr_timespec deadline);
    gpr_timespec deadline() const;
    void lookIntoGroups(bool quiet);
    void trim();
    void complete(bool) override {}

    Room& room_;
    Corks corks_;
    Methods methods_{};
    grpc_completion_queue* queue_;
    grpc_call* wakeUpCall_;
    std::thread thread_;
    std::atomic<std::thread::id> threadId_{};

    std::vector<SendMessage*> idleCalls_;
    std::vector<std::unique_ptr<StreamGroup>> groups_;
    // How many looks in a row have found no completed send, while some were under way.
    unsigned looksInVain_ = 0;

    std::deque<grpc_slice> log_;
    uint64_t first_ = 0;
    size_t trimAt_ = 1024;
    // The room's mutex guards it.
    std::vector<grpc_slice> inbox_;
    std::vector<grpc_slice> taken_;
};
