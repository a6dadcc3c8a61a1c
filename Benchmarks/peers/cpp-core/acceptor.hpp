#pragma once

#include <grpc/grpc.h>

#include <cstdint>

// Listens on a port, or throws.
int listenOn(uint16_t port);

// Accepts connections for ever, and hands them to the server.
[[noreturn]] void acceptConnections(int listener, grpc_server* server);
