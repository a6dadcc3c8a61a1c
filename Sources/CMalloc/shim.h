// What the C library's allocator can be told; nothing where it is not glibc's.
#pragma once

#include <features.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static inline void cmalloc_trim(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
