// Graphs of the emulated device: what they do, and what must not be done while one is recorded.
#include <functional>
#include <memory>
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <c10/core/Event.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "kernels/accelerator.h"
#include "kernels/activation.h"
#include "kernels/device_graph.h"
#include "kernels/transfer.h"
#include "support/emulated_device/memory.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

class EmulatedGraphs : public OnEmulatedDevice {
 protected:
  static at::Tensor full(double value, int64_t count = 4) {
    return at::full({count}, value, at::TensorOptions(at::kFloat).device(kEmulated));
  }
  static int64_t kept() { return emulated::Memory::instance().usage().kept_by_pools; }

  std::unique_ptr<GraphRecorder> recorder_ = accelerator_of(kEmulated)->graph_recorder(kEmulated);
};

TEST_F(EmulatedGraphs, ALaunchComputesFromWhatLiesThere) {
  const at::Tensor x = full(1);
  at::Tensor y;
  const std::unique_ptr<DeviceGraph> graph = recorder_->record([&] { y = (x * 2 + 1).sum(); });
  graph->launch();
  EXPECT_EQ(y.item<float>(), 12);
  x.fill_(5);
  graph->launch();
  EXPECT_EQ(y.item<float>(), 44);
}

TEST_F(EmulatedGraphs, OurKernelsAreRecorded) {
  const at::Tensor x = full(2, 16).view({2, 8});
  at::Tensor y;
  const std::unique_ptr<DeviceGraph> graph = recorder_->record([&] { y = gated_silu(x); });
  x.fill_(3);
  graph->launch();
  EXPECT_TRUE(y.cpu().equal(gated_silu(x).cpu()));
}

TEST_F(EmulatedGraphs, RecordingRunsNothingAndALaunchIsOne) {
  const at::Tensor x = full(1);
  const emulated::Counters before = emulated::counted();
  const std::unique_ptr<DeviceGraph> graph = recorder_->record([&] { x.add_(1).mul_(3); });
  EXPECT_EQ((emulated::counted() - before).launches, 0);
  EXPECT_EQ(x.sum().item<float>(), 4);
  const emulated::Counters recorded = emulated::counted();
  graph->launch();
  EXPECT_EQ((emulated::counted() - recorded).launches, 1);
  EXPECT_EQ((emulated::counted() - recorded).graphs, 1);
  EXPECT_EQ(x.sum().item<float>(), 24);
}

TEST_F(EmulatedGraphs, WhatAGraphCannotDoFailsAndLeavesNoRecording) {
  const at::Tensor x = full(1);
  const at::Tensor pageable = at::ones({4});
  const at::Tensor pinned = at::empty({4}, at::TensorOptions(at::kFloat).pinned_memory(true));
  c10::Event event(kEmulated.type());
  const auto refused = [&](const std::string& what, const std::function<void()>& work) {
    try {
      recorder_->record(work);
      ADD_FAILURE() << what << " was recorded";
    } catch (const c10::Error& error) {
      EXPECT_EQ(error.what_without_backtrace(),
                "emulated device error: operation not permitted when stream is capturing: " + what);
    }
    EXPECT_EQ((x + 1).sum().item<float>(), 8) << "after " << what;
  };
  refused("reading a number", [&] { x.sum().item<float>(); });
  refused("a copy to the host", [&] { x.cpu(); });
  refused("a copy to the host", [&] { pinned.copy_(x, /*non_blocking=*/true); });
  refused("a copy from the host", [&] { pageable.to(kEmulated); });
  refused("a copy from the host", [&] { sent(pageable, kEmulated); });
  refused("waiting for the device", [&] { wait(); });
  refused("waiting for the device", [&] { x.nonzero(); });  // whose shape depends on numbers
  refused("an operator that runs at once", [&] { x.clone().normal_(); });
  refused("an event that is asked for the time", [&] {
    event.record(c10::impl::VirtualGuardImpl(kEmulated.type()).getStream(kEmulated));
  });
  refused("beginning to record", [&] { recorder_->record([] {}); });
}

TEST_F(EmulatedGraphs, WhatTheWorkThrowsPassesThrough) {
  EXPECT_THROW(recorder_->record([] { throw std::string("the work's own"); }), std::string);
  EXPECT_EQ(full(1).sum().item<float>(), 4);
}

TEST_F(EmulatedGraphs, NobodyElseIsGivenTheirMemory) {
  constexpr int64_t kCount = 1000003;  // of a size that nobody else has
  const at::Tensor x = full(1, kCount);
  const int64_t before = kept();
  at::Tensor y;
  std::unique_ptr<DeviceGraph> graph =
      recorder_->record([&] { y = (x * 2 + 1).sum(); });  // two blocks that are freed
  EXPECT_GE(kept(), before + 2 * 4 * kCount);
  const at::Tensor other = full(7, kCount);
  graph->launch();
  EXPECT_EQ(y.item<float>(), 3 * kCount);
  EXPECT_EQ(other.sum().item<float>(), 7 * kCount);
  // The next graph is.
  at::Tensor z;
  std::unique_ptr<DeviceGraph> next = recorder_->record([&] { z = (x * 3).sum(); });
  EXPECT_LT(kept(), before + 3 * 4 * kCount);
  next->launch();
  graph->launch();
  EXPECT_EQ(z.item<float>(), 3 * kCount);
  EXPECT_EQ(y.item<float>(), 3 * kCount);
  graph.reset();
  next.reset();
  y = z = at::Tensor();
  recorder_.reset();
  EXPECT_EQ(kept(), before);
}

// The wrong number of this test is what it is for: a graph reads where its tensors were.
TEST_F(EmulatedGraphs, ATensorThatIsFreedIsReadAllTheSame) {
  constexpr int64_t kCount = 1000007;
  at::Tensor x = full(1, kCount);
  at::Tensor y;
  const std::unique_ptr<DeviceGraph> graph = recorder_->record([&] { y = x.sum(); });
  x = at::Tensor();
  const at::Tensor other = full(7, kCount);
  graph->launch();
  EXPECT_EQ(y.item<float>(), 7 * kCount);
}

}  // namespace
}  // namespace elastikv
