#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <mutex>

#include "messenger.pb.h"
#include "room.hpp"

// A stream of ReadMessages, with the messages that wait for it.
class Reader : public grpc::ServerWriteReactor<mes_grpc::Message> {
public:
    explicit Reader(Room& room);

    void push(const Room::MessagePointer& message);

private:
    void OnWriteDone(bool ok) override;
    void OnCancel() override;
    void OnDone() override;

    void writeNext();
    void finish();

    Room& room_;
    std::mutex mutex_;
    // The first of them is being written.
    std::deque<Room::MessagePointer> messages_;
    bool isFinished_ = false;
};
