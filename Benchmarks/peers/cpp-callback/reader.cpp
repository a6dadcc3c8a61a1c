#include "reader.hpp"

#include <memory>

Reader::Reader(Room& room) : room_(room) {
    room_.join(*this);
    StartSendInitialMetadata();
}

void Reader::push(const Room::MessagePointer& message) {
    const std::lock_guard lock(mutex_);
    if (isFinished_) return;
    messages_.push_back(message);
    if (messages_.size() == 1) writeNext();
}

// With more to come the transport need not write yet.
void Reader::writeNext() {
    grpc::WriteOptions options;
    if (messages_.size() > 1) options.set_buffer_hint();
    StartWrite(messages_.front().get(), options);
}

void Reader::OnWriteDone(bool ok) {
    {
        const std::lock_guard lock(mutex_);
        messages_.pop_front();
        if (ok && !isFinished_) {
            if (!messages_.empty()) writeNext();
            return;
        }
    }
    finish();
}

void Reader::OnCancel() { finish(); }

void Reader::finish() {
    // The room's lock is taken before a reader's, never after it.
    room_.leave(*this);
    {
        const std::lock_guard lock(mutex_);
        if (isFinished_) return;
        isFinished_ = true;
    }
    Finish(grpc::Status::CANCELLED);
}

void Reader::OnDone() { delete this; }
