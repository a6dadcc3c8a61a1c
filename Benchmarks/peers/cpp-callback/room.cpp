#include "room.hpp"

#include <algorithm>
#include <chrono>

#include "reader.hpp"

google::protobuf::Timestamp Room::append(const mes_grpc::SendMessageRequest& request) {
    auto message = std::make_shared<mes_grpc::Message>();
    message->set_author(request.author());
    message->set_text(request.text());
    const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();

    const std::lock_guard lock(mutex_);
    last_ = std::max(last_ + 1, static_cast<int64_t>(now.count()));
    message->mutable_sendtime()->set_seconds(last_ / 1'000'000'000);
    message->mutable_sendtime()->set_nanos(static_cast<int32_t>(last_ % 1'000'000'000));
    for (auto* reader : readers_) reader->push(message);
    return message->sendtime();
}

void Room::join(Reader& reader) {
    const std::lock_guard lock(mutex_);
    readers_.insert(&reader);
}

void Room::leave(Reader& reader) {
    const std::lock_guard lock(mutex_);
    readers_.erase(&reader);
}
