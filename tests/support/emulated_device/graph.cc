#include "support/emulated_device/graph.h"

#include <functional>
#include <utility>
#include <vector>

#include "support/emulated_device/memory.h"
#include "support/emulated_device/stream.h"

namespace elastikv::emulated {
namespace {

using Work = std::vector<std::function<void()>>;

class Graph final : public DeviceGraph {
 public:
  Graph(Work work, std::shared_ptr<MemoryPool> pool)
      : work_(std::make_shared<const Work>(std::move(work))), pool_(std::move(pool)) {}

  void launch() override {
    ++Stream::instance().counters().graphs;
    Stream::instance().launch([work = work_] {
      for (const std::function<void()>& one : *work) one();
    });
  }

 private:
  std::shared_ptr<const Work> work_;
  std::shared_ptr<MemoryPool> pool_;  // what the work's pointers point into
};

class Recorder final : public GraphRecorder {
 public:
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override {
    Recording recording(pool_);
    work();
    return std::make_unique<Graph>(recording.end(), pool_);
  }

 private:
  /// Ends when it goes, also where the work threw.
  class Recording {
   public:
    explicit Recording(const std::shared_ptr<MemoryPool>& pool) {
      Stream::instance().begin_recording();
      Memory::instance().allocate_from(pool);
    }
    ~Recording() {
      if (!ended_) end();
    }
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

    Work end() {
      ended_ = true;
      Memory::instance().allocate_from(nullptr);
      return Stream::instance().end_recording();
    }

   private:
    bool ended_ = false;
  };

  std::shared_ptr<MemoryPool> pool_ = std::make_shared<MemoryPool>();
};

}  // namespace

std::unique_ptr<GraphRecorder> graph_recorder(c10::Device /*device*/) {
  return std::make_unique<Recorder>();
}

}  // namespace elastikv::emulated
