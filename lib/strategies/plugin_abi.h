#pragma once

#include <torch/headeronly/version.h>

// What a plugin and the program have to agree on, as one text that each of them is compiled with.
// The compiler is none of it: g++ and clang, and their versions since 5, lay out what crosses over
// alike, but for the two settings of libstdc++ below.

#if !defined(ELASTIKV_PLUGIN_VERSION) || !defined(ELASTIKV_PLUGIN_INTERFACE)
#error \
    "Build plugins with elastikv_add_plugin (find_package(elastikv)), which says for which elastikv."
#endif

#if defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI == 0
#define ELASTIKV_PLUGIN_STRINGS "old C++ ABI"
#else
#define ELASTIKV_PLUGIN_STRINGS "C++11 ABI"
#endif
#ifdef _GLIBCXX_DEBUG
#define ELASTIKV_PLUGIN_CONTAINERS ", checked containers"
#else
#define ELASTIKV_PLUGIN_CONTAINERS ""
#endif

/// "elastikv 0.2.0, interface 1f0c..., LibTorch 2.11.0, C++11 ABI". The interface is a digest of
/// the headers that plugins see.
#define ELASTIKV_PLUGIN_ABI                                                    \
  "elastikv " ELASTIKV_PLUGIN_VERSION ", interface " ELASTIKV_PLUGIN_INTERFACE \
  ", LibTorch " TORCH_VERSION ", " ELASTIKV_PLUGIN_STRINGS ELASTIKV_PLUGIN_CONTAINERS
/// What the text begins with in a library, so that it is found without running any of it.
#define ELASTIKV_PLUGIN_MARK "elastikv plugin for: "
