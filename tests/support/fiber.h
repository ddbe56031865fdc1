#pragma once

#include <cstddef>
#include <memory>

namespace elastikv {

/// A function that runs on a stack of its own and can be left and gone on with in its middle.
/// Switching takes a few instructions: glibc's swapcontext() asks the kernel for the signal mask
/// each time, which takes longer than what the thread of a small kernel computes.
class Fiber {
 public:
  /// Runs `body` from its beginning when it is next resumed; it has to be done, or never to have
  /// been resumed. `body` must not throw.
  void start(void (*body)());
  /// To be called outside of fibers: goes on until pause(), or the end.
  void resume();
  /// To be called in the fiber that runs: back to where it was resumed.
  static void pause();

 private:
  static void run();

  std::unique_ptr<unsigned char[]> stack_;
  void* top_ = nullptr;  // of its stack while it does not run
  void (*body_)() = nullptr;
};

}  // namespace elastikv
