#include "runtime/device_health.h"

#include <new>
#include <stdexcept>

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace elastikv {
namespace {

const c10::Device kCpu(c10::DeviceType::CPU);
const c10::SourceLocation kPlace{"launch", "CUDAException.cpp", 1};

/// What LibTorch's CUDA library throws after a kernel that broke the context.
TEST(DeviceHealth, AnErrorOfTheRuntimeLosesTheDevice) {
  EXPECT_TRUE(is_device_lost(
      c10::AcceleratorError(kPlace, 700, "CUDA error: an illegal memory access was encountered"),
      kCpu));
  EXPECT_TRUE(is_device_lost(c10::AcceleratorError(kPlace, 710, "device-side assert"), kCpu));
  for (const char* text :
       {"CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later",
        "CUDA driver error: an illegal instruction was encountered",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"})
    EXPECT_TRUE(is_device_lost(c10::Error(kPlace, text), kCpu)) << text;
}

TEST(DeviceHealth, MemoryThatDoesNotSufficeDoesNot) {
  EXPECT_FALSE(is_device_lost(c10::OutOfMemoryError(kPlace, "CUDA out of memory."), kCpu));
  EXPECT_FALSE(is_device_lost(c10::AcceleratorError(kPlace, 2, "CUDA error: out of memory"), kCpu));
  EXPECT_FALSE(is_device_lost(c10::Error(kPlace, "CUBLAS_STATUS_ALLOC_FAILED"), kCpu));
  EXPECT_FALSE(is_device_lost(std::bad_alloc(), kCpu));
}

TEST(DeviceHealth, NorDoesWhatASampleOrABugThrows) {
  EXPECT_FALSE(is_device_lost(Error("the image is torn"), kCpu));
  EXPECT_FALSE(is_device_lost(Error("CUDA error: as an image's name"), kCpu));
  EXPECT_FALSE(is_device_lost(InternalError("a broken promise"), kCpu));
  EXPECT_FALSE(is_device_lost(std::runtime_error("CUDA error"), kCpu));
  EXPECT_FALSE(is_device_lost(c10::Error(kPlace, "shapes do not match"), kCpu));
}

}  // namespace
}  // namespace elastikv
