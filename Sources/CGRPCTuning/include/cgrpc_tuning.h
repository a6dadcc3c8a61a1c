// What gRPC's core can be told only in C++.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct grpc_call;

// Switches off the search for lock cycles at every lock that abseil does when it is built with its debug checks, as
// Debian's is: it takes a seventh of a unary call's instructions.
void cgrpc_disable_deadlock_detection(void);

// Whether the message that a call received last is still compressed. The core marks a message as such, and hands its
// bytes over like any others if it does not know the encoding or none was named.
bool cgrpc_call_message_is_compressed(struct grpc_call *call);

// The encodings that a call's peer accepts, a bit for each grpc_compression_algorithm.
uint32_t cgrpc_call_accepted_encodings(struct grpc_call *call);

// The size of the call's `:authority`, which a server's core keeps and does not show among the metadata.
size_t cgrpc_call_authority_size(const struct grpc_call *call);

#ifdef __cplusplus
}
#endif
