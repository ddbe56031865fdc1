# Provides elastikv_torch, the LibTorch that every room with tensors links.
#
# CPU profile: the PyPI wheel of torch is the CUDA build; its libtorch_cpu and libc10 run without a toolkit once the
# small libcudart and libcupti wheels lie beside it (found by libtorch_cpu's own RPATH). find_package(Torch) insists on a
# CUDA toolkit, so the two libraries are imported here by hand.
# CUDA profile: find_package(Torch) with an explicit architecture list; CMake 3.25 cannot detect one under C++20.

include(ElastikvCache)
if(NOT ELASTIKV_TORCH_DIR)
  elastikv_cache_folder(_cache)
  if(ELASTIKV_CUDA)
    set(_profile cuda)
  else()
    set(_profile cpu)
  endif()
  set(ELASTIKV_TORCH_DIR ${_cache}/libtorch-2.11.0-${_profile}/torch CACHE PATH "" FORCE)
endif()
if(NOT EXISTS ${ELASTIKV_TORCH_DIR}/include/ATen/core/Tensor.h)
  message(FATAL_ERROR
    "No LibTorch in ${ELASTIKV_TORCH_DIR}. Run ./scripts/setup.sh, or pass -DELASTIKV_TORCH_DIR=<folder that holds include/ and lib/>.")
endif()

add_library(elastikv_torch INTERFACE)
if(ELASTIKV_CUDA)
  if(NOT DEFINED TORCH_CUDA_ARCH_LIST)
    set(TORCH_CUDA_ARCH_LIST "8.0;9.0")
  endif()
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  # LibTorch brings the runtime as a shared library; a second, static one would know nothing of it.
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  list(APPEND CMAKE_PREFIX_PATH ${ELASTIKV_TORCH_DIR})
  enable_language(CUDA)
  set(_cuda_flags "${CMAKE_CUDA_FLAGS}")
  find_package(Torch REQUIRED)
  # Torch adds the flags of its own kernels, architectures included; ours see nothing of Torch and name theirs.
  set(CMAKE_CUDA_FLAGS "${_cuda_flags}")
  set(CMAKE_CUDA_ARCHITECTURES "80;90")
  # torch_cuda registers its kernels from static initialisers; nothing refers to it by symbol.
  target_link_libraries(elastikv_torch INTERFACE
    "-Wl,--no-as-needed" torch_cuda c10_cuda "-Wl,--as-needed" torch_cpu c10)
  target_include_directories(elastikv_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  target_compile_definitions(elastikv_torch INTERFACE ELASTIKV_WITH_CUDA=1)
else()
  target_include_directories(elastikv_torch SYSTEM INTERFACE ${ELASTIKV_TORCH_DIR}/include)
  target_link_libraries(elastikv_torch INTERFACE
    ${ELASTIKV_TORCH_DIR}/lib/libtorch_cpu.so ${ELASTIKV_TORCH_DIR}/lib/libc10.so)
endif()
# ATen's parallel_for is a template that only threads when the including file is compiled with OpenMP. The wheel brings
# the OpenMP runtime that its own threads use; two of them in one program would fight over the cores.
find_package(OpenMP REQUIRED COMPONENTS CXX)
target_compile_options(elastikv_torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${OpenMP_CXX_FLAGS}>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # clang's code calls libomp, which stands in for libgomp as well when it is found first.
  target_link_libraries(elastikv_torch INTERFACE OpenMP::OpenMP_CXX)
elseif(EXISTS ${ELASTIKV_TORCH_DIR}/lib/libgomp.so.1)
  target_link_libraries(elastikv_torch INTERFACE ${ELASTIKV_TORCH_DIR}/lib/libgomp.so.1)
else()
  target_link_libraries(elastikv_torch INTERFACE OpenMP::OpenMP_CXX)
endif()
