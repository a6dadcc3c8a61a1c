#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "messenger.pb.h"

class Reader;

// The room's order, and the readers that are there.
class Room {
public:
    using MessagePointer = std::shared_ptr<const mes_grpc::Message>;

    // Hands the message to every reader, and returns when it was accepted.
    google::protobuf::Timestamp append(const mes_grpc::SendMessageRequest& request);

    void join(Reader& reader);
    void leave(Reader& reader);

private:
    std::mutex mutex_;
    int64_t last_ = 0;
    std::unordered_set<Reader*> readers_;
};
