#include "connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "failure.hpp"
#include "frames.hpp"
#include "loop.hpp"

namespace {

constexpr uint32_t largestWindow = 0x7fffffff;

int connectTo(const Connection::Options& options) {
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) throw systemFailure("socket");
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.receiveBuffer > 0) {
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &options.receiveBuffer, sizeof options.receiveBuffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        const auto failure = systemFailure("connect");
        close(descriptor);
        throw failure;
    }
    return descriptor;
}

}  // namespace

Connection::Connection(Loop& loop, CallHandler& handler, const Options& options)
    : loop_(loop),
      handler_(handler),
      socket_(connectTo(options)),
      authority_("localhost:" + std::to_string(options.port)) {
    std::string opening(frames::preface);
    frames::putHeader(opening, 12, frames::settings, 0, 0);
    frames::putSetting(opening, frames::settingEnablePush, 0);
    frames::putSetting(opening, frames::settingInitialWindowSize, options.streamWindow);
    frames::putWindowUpdate(opening, largestWindow - 65'535);
    loop_.add(*this);
    queue(opening);
}

Connection::~Connection() {
    loop_.forget(*this);
    close(socket_);
}

uint32_t Connection::call(std::string_view method, std::string_view message) {
    const uint32_t number = nextCall_++;
    const uint32_t stream = 2 * number + 1;
    const size_t size = frames::messagePrefixSize + message.size();
    const auto block = headers_.request(method, authority_);

    std::string out;
    out.reserve(2 * frames::headerSize + block.size() + size);
    frames::putHeader(out, block.size(), frames::headers, frames::endHeaders, stream);
    out += block;
    frames::putHeader(out, size, frames::data, frames::endStream, stream);
    frames::putMessage(out, message);
    blocked_.push_back({std::move(out), size});
    sendUnblocked();
    return number;
}

void Connection::sendUnblocked() {
    while (!blocked_.empty() && open_ < mostOpen_ && static_cast<int64_t>(blocked_.front().size) <= sendWindow_) {
        ++open_;
        sendWindow_ -= static_cast<int64_t>(blocked_.front().size);
        queue(blocked_.front().frames);
        blocked_.pop_front();
    }
}

void Connection::queue(std::string_view bytes) {
    output_.append(bytes);
    if (isQueued_ || waitsForWrite_) return;
    isQueued_ = true;
    loop_.flushLater(*this);
}

void Connection::flush() {
    const auto sent = send(socket_, output_.data(), output_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) throw systemFailure("send");
    if (sent > 0) output_.erase(0, static_cast<size_t>(sent));
    if (waitsForWrite_ == output_.empty()) {
        waitsForWrite_ = !output_.empty();
        loop_.watchWrites(*this, waitsForWrite_);
    }
}

void Connection::receive() {
    auto& buffer = loop_.buffer_;
    input_.copy(buffer.data(), input_.size());
    const auto got = recv(socket_, buffer.data() + input_.size(), buffer.size() - input_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) throw systemFailure("recv");
    if (got == 0) throw Failure("the server has closed a connection");
    const std::string_view input(buffer.data(), input_.size() + static_cast<size_t>(got));
    input_.assign(input.substr(parse(input, monotonicNow())));
}
