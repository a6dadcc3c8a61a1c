// The messenger on the bare C core. With --cork it owns its sockets, and what one turn of an event loop writes to a
// connection leaves in one piece.
#include <absl/synchronization/mutex.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "acceptor.hpp"
#include "event_loop.hpp"
#include "room.hpp"

namespace {

grpc_server* createServer() {
    std::array<grpc_arg, 2> arguments{};
    arguments[0].type = GRPC_ARG_INTEGER;
    arguments[0].key = const_cast<char*>(GRPC_ARG_MINIMAL_STACK);
    arguments[0].value.integer = 1;
    arguments[1].type = GRPC_ARG_INTEGER;
    arguments[1].key = const_cast<char*>(GRPC_ARG_ALLOW_REUSEPORT);
    arguments[1].value.integer = 0;
    const grpc_channel_args all{arguments.size(), arguments.data()};
    return grpc_server_create(&all, nullptr);
}

bool addPort(grpc_server* server, const std::string& port) {
    auto* credentials = grpc_insecure_server_credentials_create();
    const bool bound = grpc_server_add_http2_port(server, ("0.0.0.0:" + port).c_str(), credentials) != 0;
    grpc_server_credentials_release(credentials);
    return bound;
}

void* registerMethod(grpc_server* server, const char* name) {
    return grpc_server_register_method(server, name, nullptr, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
}

}  // namespace

int main(int count, char** arguments) {
    const bool corking = count > 1 && std::strcmp(arguments[1], "--cork") == 0;
    const char* variable = std::getenv("MESSENGER_SERVER_PORT");
    const std::string port = variable != nullptr ? variable : "51075";

    // Debian's build looks for deadlocks with every lock that is taken.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc_init();
    auto* server = createServer();
    const Methods methods{server, registerMethod(server, "/mes_grpc.MessengerServer/SendMessage"),
                          registerMethod(server, "/mes_grpc.MessengerServer/ReadMessages")};
    const int listener = corking ? listenOn(static_cast<uint16_t>(std::stoi(port))) : -1;
    if (!corking && !addPort(server, port)) {
        std::fprintf(stderr, "cannot listen on port %s\n", port.c_str());
        return 1;
    }

    Room room;
    std::array<EventLoop, 2> loops{EventLoop(room, corking), EventLoop(room, corking)};
    for (auto& loop : loops) grpc_server_register_completion_queue(server, loop.queue(), nullptr);
    grpc_server_start(server);
    for (auto& loop : loops) loop.start(methods);
    if (corking) acceptConnections(listener, server);
    for (auto& loop : loops) loop.join();
}
