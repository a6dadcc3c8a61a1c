#include "cgrpc_tuning.h"

#include <absl/synchronization/mutex.h>

void cgrpc_disable_deadlock_detection(void) { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }
