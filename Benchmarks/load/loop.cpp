#include "loop.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "connection.hpp"
#include "failure.hpp"

int64_t monotonicNow() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(512 << 10) {
    if (epoll_ < 0) throw systemFailure("epoll_create1");
}

Loop::~Loop() { close(epoll_); }

bool Loop::turn(int64_t nanoseconds) {
    flush();
    std::array<epoll_event, 256> events;
    const timespec limit{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
    const int count = epoll_pwait2(epoll_, events.data(), events.size(), &limit, nullptr);
    if (count < 0 && errno != EINTR) throw systemFailure("epoll_wait");
    for (int index = 0; index < count; ++index) {
        auto& connection = *static_cast<Connection*>(events[static_cast<size_t>(index)].data.ptr);
        const auto happened = events[static_cast<size_t>(index)].events;
        if (happened & EPOLLOUT) connection.flush();
        if (happened & ~EPOLLOUT) connection.receive();
    }
    flush();
    return count > 0;
}

void Loop::flush() {
    for (auto* connection : queued_) {
        connection->isQueued_ = false;
        connection->flush();
    }
    queued_.clear();
}

void Loop::add(Connection& connection) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket(), &event) != 0) throw systemFailure("epoll_ctl");
}

void Loop::forget(Connection& connection) {
    ignore(connection);
    queued_.erase(std::remove(queued_.begin(), queued_.end(), &connection), queued_.end());
}

void Loop::ignore(Connection& connection) { epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.socket(), nullptr); }

void Loop::watchWrites(Connection& connection, bool watch) {
    epoll_event event{};
    event.events = watch ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = &connection;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket(), &event);
}
