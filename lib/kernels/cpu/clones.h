#pragma once

// One body, compiled for the instruction sets that matter and picked by the loader.
// The start-up of GCC's address sanitizer and of the thread sanitizer does not survive the loader's
// resolver calls, so such builds take the plain body.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ELASTIKV_NO_CPU_CLONES
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ELASTIKV_NO_CPU_CLONES
#endif
#endif

#if defined(__x86_64__) && !defined(ELASTIKV_NO_CPU_CLONES)
#define ELASTIKV_CPU_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ELASTIKV_CPU_CLONES
#endif
