#pragma once

// One body, compiled for the instruction sets that matter and picked by the loader.
// AddressSanitizer's start-up does not survive the loader's resolver calls, so sanitized builds
// take the plain body.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define ELASTIKV_CPU_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ELASTIKV_CPU_CLONES
#endif
