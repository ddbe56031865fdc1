#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace elastikv {

/// How many threads compute on the CPU, and why: for provenance.
struct ThreadChoice {
  int64_t threads = 1;
  /// "--threads", "OMP_NUM_THREADS", "a quota of 1.5 processors", "the processors that are
  /// allowed".
  std::string reason;
  bool asked = true;  ///< by whoever started the program, rather than chosen here
};

/// What `use_threads` would choose. `wanted`: what a user asked for, 0 for nothing. Otherwise
/// OMP_NUM_THREADS decides, or else the processors that the process may run on (taskset, Slurm),
/// and no more than whole ones that its control groups' quota gives: threads beyond it would wait
/// for each other while the system holds them back. `root` as control_group_processors'.
ThreadChoice choose_threads(int64_t wanted, const std::filesystem::path& root = "/");

/// Of a choice that nobody asked for, this process's share where `local_ranks` of a sweep run on
/// the machine; a launcher that gives each of them processors of its own has shared them out by
/// itself.
ThreadChoice share_threads(const ThreadChoice& all, int64_t local_ranks, bool own_processors);

/// Makes LibTorch compute with so many threads from here on.
void use_threads(const ThreadChoice& choice);
/// The last choice given to use_threads.
const ThreadChoice& threads_in_use();

/// What `base` becomes for a model of so many parameters, unless it was asked for: a thread for
/// every 2 million of them, so that a model of less than 4 million runs on one. Its products are
/// done before another thread is awake (docs/performance.md).
ThreadChoice threads_for_model(const ThreadChoice& base, int64_t parameters);

/// While it lives, LibTorch computes with as many threads as threads_for_model makes of those in
/// use.
class ModelThreads {
 public:
  explicit ModelThreads(int64_t parameters);
  ~ModelThreads();
  ModelThreads(const ModelThreads&) = delete;
  ModelThreads& operator=(const ModelThreads&) = delete;

 private:
  int before_;
};

}  // namespace elastikv
