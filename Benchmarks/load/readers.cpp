#include "readers.hpp"

#include <algorithm>

#include "failure.hpp"
#include "methods.hpp"

namespace {

bool ready(const std::unique_ptr<Connection>& connection) { return connection->ready(); }

}  // namespace

Readers::Readers(Loop& loop, const Options& options, Receive receive)
    : loop_(loop), options_(options), patience_(options.patience * 1000 * millisecond), receive_(std::move(receive)) {
    Connection::Options connection;
    open(options.readers, std::min(options.connections, options.readers), connection);
    reading_ = options.readers;
    if (options.stalled == 0) return;

    if (options.stalledSockets) {
        connection.receiveBuffer = 4096;
    } else {
        connection.streamWindow = 0;
    }
    const auto stalled = connections_.size();
    open(options.stalled, options.stalled, connection);
    if (options.stalledSockets) {
        std::for_each(connections_.begin() + static_cast<ptrdiff_t>(stalled), connections_.end(),
                      [this](auto& connection) { loop_.ignore(*connection); });
    }
}

void Readers::open(uint32_t count, uint32_t connections, Connection::Options connection) {
    const auto before = connections_.size();
    for (uint32_t index = 0; index < connections; ++index) {
        connection.port = options_.portOf(index);
        connections_.push_back(std::make_unique<Connection>(loop_, *this, connection));
        connections_.back()->tag = static_cast<uint32_t>(connections_.size() - 1);
    }
    if (!loop_.runUntil([this] { return std::all_of(connections_.begin(), connections_.end(), ready); }, patience_)) {
        throw Failure("the server does not answer a connection with its settings");
    }
    uint32_t number = open_;
    const auto wanted = open_ + count;
    for (uint32_t index = 0; index < connections; ++index) {
        first_.push_back(number);
        for (uint32_t share = (count + connections - 1 - index) / connections; share > 0; --share, ++number) {
            connections_[before + index]->call(methods::readMessages, "");
        }
    }
    if (!loop_.runUntil([&] { return open_ == wanted; }, patience_)) {
        throw Failure("the server has sent initial metadata to only " + std::to_string(open_) + " readers");
    }
}

void Readers::onHeaders(Connection&, uint32_t) { ++open_; }

void Readers::onMessage(Connection& connection, uint32_t call, std::string_view message, int64_t now) {
    const auto reader = first_[connection.tag] + call;
    if (!isStalled(reader) && receive_) receive_(reader, message, now);
}

// A server may end the stream of a reader that is too slow, so that it costs no more.
void Readers::onEnd(Connection& connection, uint32_t call, int64_t) {
    if (!isStalled(first_[connection.tag] + call)) throw Failure("the server has ended a reader's stream");
}
