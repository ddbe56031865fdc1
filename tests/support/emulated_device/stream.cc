#include "support/emulated_device/stream.h"

#include <utility>

#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/util/Exception.h>

#include "support/emulated_device/memory.h"

namespace elastikv::emulated {
namespace {

/// Pieces of work that may wait; a GPU's driver has its own bound of launches.
constexpr size_t kLongest = 4096;

}  // namespace

/// The memory can be touched while it lives.
class Stream::Open {
 public:
  explicit Open(Stream& stream) : stream_(stream), outermost_(!stream.open_) {
    if (!outermost_) return;
    Memory::instance().set_accessible(true);
    stream_.open_ = true;
  }
  ~Open() {
    if (!outermost_) return;
    stream_.open_ = false;
    Memory::instance().set_accessible(false);
  }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;

 private:
  Stream& stream_;
  bool outermost_;
};

Stream& Stream::instance() {
  static auto* stream = new Stream;
  return *stream;
}

void Stream::enqueue(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (is_recording()) {
    recording_.push_back(std::move(work));
    return;
  }
  work_.push_back(std::move(work));
  ++queued_;
  if (work_.size() > kLongest && !open_) drain();
}

void Stream::launch(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  count_launch();
  enqueue(std::move(work));
}

void Stream::count_launch() {
  const std::lock_guard lock(mutex_);
  if (!is_recording()) ++counters_.launches;
}

void Stream::after_all(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  work_.push_back(std::move(work));
  ++queued_;
}

void Stream::begin_recording() {
  const std::lock_guard lock(mutex_);
  require_not_recording("beginning to record");
  recorder_ = std::this_thread::get_id();
}

std::vector<std::function<void()>> Stream::end_recording() {
  const std::lock_guard lock(mutex_);
  recorder_ = {};
  return std::exchange(recording_, {});
}

void Stream::require_not_recording(const char* what) const {
  const std::lock_guard lock(mutex_);
  TORCH_CHECK(!is_recording(),
              "emulated device error: operation not permitted when stream is "
              "capturing: ",
              what);
}

void Stream::drain() {
  const std::lock_guard lock(mutex_);
  if (work_.empty()) return;
  const Open open(*this);
  // Below everything that records or watches operators.
  const at::AutoDispatchBelowADInplaceOrView guard;
  while (!work_.empty()) {
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    ++finished_;
    work();
  }
}

void Stream::synchronise() {
  const std::lock_guard lock(mutex_);
  require_not_recording("waiting for the device");
  ++counters_.synchronisations;
  drain();
}

void Stream::run(const std::function<void()>& work) {
  const std::lock_guard lock(mutex_);
  require_not_recording("an operator that runs at once");
  drain();
  const Open open(*this);
  const at::AutoDispatchBelowADInplaceOrView guard;
  work();
}

int64_t Stream::queued() const {
  const std::lock_guard lock(mutex_);
  return queued_;
}

int64_t Stream::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_;
}

}  // namespace elastikv::emulated
