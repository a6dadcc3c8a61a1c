#pragma once

#include <grpc/grpc.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "read_messages.hpp"

class EventLoop;

// Streams that share a small completion queue. With each completion the core looks for its tag among all operations that
// are pending on the queue, and every open stream has one pending: so a queue of many streams is slow.
class StreamGroup {
public:
    explicit StreamGroup(EventLoop& loop) : loop_(loop), queue_(grpc_completion_queue_create(&factory(), &kind, nullptr)) {}

    bool hasRoom() const { return members_ < capacity; }
    // Lets one more call of ReadMessages arrive on this group's queue.
    void listen();
    void left() { --members_; }

    void add(std::unique_ptr<ReadMessages> stream);
    void remove(ReadMessages& stream);

    EventLoop& loop() { return loop_; }
    grpc_completion_queue* queue() const { return queue_; }

    // Sends what there is to be sent, and handles the events: those of sends, or to the last. True if any has come.
    bool run(bool toTheLast);

    // Sends under way.
    uint32_t sending() const { return sending_; }
    void sendStarted() { ++sending_; }
    void sendEnded() { --sending_; }

    uint64_t firstNeeded() const;

private:
    static constexpr uint32_t capacity = 64;
    static constexpr grpc_completion_queue_attributes kind{GRPC_CQ_VERSION_MINIMUM_FOR_CALLBACKABLE, GRPC_CQ_NEXT,
                                                           GRPC_CQ_NON_POLLING, nullptr};

    static const grpc_completion_queue_factory& factory() { return *grpc_completion_queue_factory_lookup(&kind); }

    EventLoop& loop_;
    grpc_completion_queue* queue_;
    // Streams that are open, and slots for more.
    uint32_t members_ = 0;
    uint32_t sending_ = 0;
    // Up to this message every stream has been told to send.
    uint64_t told_ = 0;
    std::vector<std::unique_ptr<ReadMessages>> streams_;
};
