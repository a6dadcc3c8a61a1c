#include "cgrpc_tuning.h"

#include <absl/synchronization/mutex.h>

// Exported by libgrpc for libgrpc++ and gRPC's tests, as of its version 1.51.

// The layout of abseil's own string_view, with which libgrpc is built.
struct AbslStringView {
  const char *bytes;
  size_t size;
};

uint32_t grpc_call_test_only_get_message_flags(grpc_call *call);
uint32_t grpc_call_test_only_get_encodings_accepted_by_peer(grpc_call *call);
AbslStringView grpc_call_server_authority(const grpc_call *call);

// GRPC_WRITE_INTERNAL_COMPRESS in the core. It is gone once the core has expanded the message.
static const uint32_t compressed = 0x80000000u;

void cgrpc_disable_deadlock_detection(void) { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

bool cgrpc_call_message_is_compressed(grpc_call *call) {
  return (grpc_call_test_only_get_message_flags(call) & compressed) != 0;
}

uint32_t cgrpc_call_accepted_encodings(grpc_call *call) {
  return grpc_call_test_only_get_encodings_accepted_by_peer(call);
}

size_t cgrpc_call_authority_size(const grpc_call *call) { return grpc_call_server_authority(call).size; }
