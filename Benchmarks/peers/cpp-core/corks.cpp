#include "corks.hpp"

#include <grpc/support/alloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>

namespace {

void setCork(int descriptor, int value) {
    // The connection may be gone by now, which its streams learn elsewhere.
    setsockopt(descriptor, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

// A connection that was handed over as a file descriptor has it for its peer's name: "fd:12".
int descriptorOf(grpc_call* call) {
    char* peer = grpc_call_get_peer(call);
    const int descriptor = std::strncmp(peer, "fd:", 3) == 0 ? std::atoi(peer + 3) : -1;
    gpr_free(peer);
    return descriptor;
}

}  // namespace

void Corks::beforeWrite(grpc_call* call) {
    if (!enabled_) return;
    const int descriptor = descriptorOf(call);
    if (descriptor < 0) return;
    const auto index = static_cast<size_t>(descriptor);
    if (index >= connections_.size()) connections_.resize(index + 1);
    auto& connection = connections_[index];
    if (connection.turn != turn_) connection = {turn_, 0};
    if (++connection.writes != 2) return;
    setCork(descriptor, 1);
    corked_.push_back(descriptor);
}

void Corks::release() {
    for (const int descriptor : corked_) setCork(descriptor, 0);
    corked_.clear();
    ++turn_;
}
