// Copies between the host and the emulated device, and what a missing wait leads to.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Event.h>
#include <gtest/gtest.h>

#include "support/tensors.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

class EmulatedCopies : public OnEmulatedDevice {
 protected:
  static at::Tensor pinned(double value) {
    return at::empty({4}, at::TensorOptions(at::kFloat).pinned_memory(true)).fill_(value);
  }
};

TEST_F(EmulatedCopies, ChangeDtypesAndStridesOnTheWay) {
  const at::Tensor x = random_tensor({3, 5}, 1);
  EXPECT_TRUE(x.to(kEmulated).cpu().equal(x));
  EXPECT_TRUE(x.t().to(kEmulated).cpu().equal(x.t()));
  EXPECT_TRUE(x.to(kEmulated).t().cpu().equal(x.t()));
  EXPECT_TRUE(x.to(kEmulated, at::kBFloat16).cpu().equal(x.to(at::kBFloat16)));
  EXPECT_TRUE(x.to(kEmulated).to(at::kCPU, at::kDouble).equal(x.to(at::kDouble)));
  const at::Tensor there = at::zeros({3, 5}, at::TensorOptions().device(kEmulated));
  there.narrow(1, 1, 2).copy_(x.narrow(1, 0, 2));
  at::Tensor expected = at::zeros({3, 5});
  expected.narrow(1, 1, 2).copy_(x.narrow(1, 0, 2));
  EXPECT_TRUE(there.cpu().equal(expected));
  at::Tensor here = at::zeros({5, 3});
  here.t().copy_(there);
  EXPECT_TRUE(here.equal(expected.t()));
}

// The wrong numbers of these two tests are what they are for: a host that does not wait for the
// device finds them on a GPU as well, some of the time.

TEST_F(EmulatedCopies, AHostBufferThatIsWrittenTooEarlyArrivesAsWritten) {
  const at::Tensor host = pinned(1);
  const at::Tensor there = host.to(kEmulated, /*non_blocking=*/true);
  host.fill_(2);  // without waiting
  EXPECT_EQ(there.sum().item<float>(), 8);

  const at::Tensor waited_for = host.to(kEmulated, /*non_blocking=*/true);
  wait();
  host.fill_(3);
  EXPECT_EQ(waited_for.sum().item<float>(), 8);
}

TEST_F(EmulatedCopies, AResultThatIsReadTooEarlyIsNotThere) {
  const at::Tensor there = at::ones({4}, at::TensorOptions().device(kEmulated));
  const at::Tensor host = there.to(at::kCPU, /*non_blocking=*/true);
  ASSERT_TRUE(host.is_pinned());
  EXPECT_NE(host[0].item<float>(), 1);
  wait();
  EXPECT_EQ(host[0].item<float>(), 1);
}

TEST_F(EmulatedCopies, PageableMemoryIsReadAtOnce) {
  const at::Tensor host = at::full({4}, 1.0F);
  const at::Tensor there = host.to(kEmulated, /*non_blocking=*/true);
  host.fill_(2);
  EXPECT_EQ(there.sum().item<float>(), 4);
}

TEST_F(EmulatedCopies, APinnedBlockLivesUntilItsCopyHasPassed) {
  at::Tensor there;
  {
    const at::Tensor host = pinned(5);
    there = host.to(kEmulated, /*non_blocking=*/true);
  }
  const at::Tensor next = pinned(6);
  EXPECT_EQ(there.sum().item<float>(), 20);
}

TEST_F(EmulatedCopies, EventsArePassedInOrder) {
  const at::Tensor there = at::ones({4}, at::TensorOptions().device(kEmulated));
  const c10::impl::VirtualGuardImpl guard(kEmulated.type());
  c10::Event event(kEmulated.type());
  event.record(guard.getStream(kEmulated));
  EXPECT_FALSE(event.query());
  event.synchronize();
  EXPECT_TRUE(event.query());
}

}  // namespace
}  // namespace elastikv
