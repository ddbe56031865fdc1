#include "support/emulated_device/stream.h"

#include <utility>

#include <ATen/core/LegacyTypeDispatch.h>

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
  work_.push_back(std::move(work));
  ++queued_;
  if (work_.size() > kLongest && !open_) drain();
}

void Stream::launch(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  ++counters_.launches;
  enqueue(std::move(work));
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
  ++counters_.synchronisations;
  drain();
}

void Stream::run(const std::function<void()>& work) {
  const std::lock_guard lock(mutex_);
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
