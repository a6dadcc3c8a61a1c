// What gRPC's core can be told only in C++.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Switches off the search for lock cycles at every lock that abseil does when it is built with its debug checks, as
// Debian's is: it takes a seventh of a unary call's instructions.
void cgrpc_disable_deadlock_detection(void);

#ifdef __cplusplus
}
#endif
