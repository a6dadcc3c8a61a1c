// What gRPC's core tells tests only. gRPC's own interop tests ask it the same question, from C++, where it is declared.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct grpc_call;

uint32_t cgrpc_call_message_flags(struct grpc_call *call) __asm__(
    "_Z37grpc_call_test_only_get_message_flagsP9grpc_call");

// Whether the message that the call received last was compressed on its way. The core has expanded it since.
static inline bool cgrpc_call_message_was_compressed(struct grpc_call *call) {
    const uint32_t was_compressed = 0x40000000u;  // GRPC_WRITE_INTERNAL_TEST_ONLY_WAS_COMPRESSED
    return (cgrpc_call_message_flags(call) & was_compressed) != 0;
}
