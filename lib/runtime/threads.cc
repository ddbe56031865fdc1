#include "runtime/threads.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "runtime/control_groups.h"

namespace elastikv {

ThreadChoice choose_threads(int64_t wanted, const std::filesystem::path& root) {
  if (wanted > 0) return {wanted, "--threads"};
  // OpenMP's own count at the start: OMP_NUM_THREADS, else the processors of the affinity mask.
  const int64_t allowed = at::get_num_threads();
  const char* set = std::getenv("OMP_NUM_THREADS");
  if (set != nullptr && *set != '\0') return {allowed, "OMP_NUM_THREADS"};
  const std::optional<double> quota = control_group_processors(root);
  if (quota && *quota < static_cast<double>(allowed)) {
    return {std::max<int64_t>(1, static_cast<int64_t>(*quota)),
            fmt::format("a quota of {:.4g} processors", *quota), /*asked=*/false};
  }
  return {allowed, "the processors that are allowed", /*asked=*/false};
}

namespace {

constexpr int64_t kParametersOfAThread = 2'000'000;

ThreadChoice& last_choice() {
  static ThreadChoice choice{at::get_num_threads(), "OpenMP"};
  return choice;
}

}  // namespace

ThreadChoice share_threads(const ThreadChoice& all, int64_t local_ranks, bool own_processors) {
  if (all.asked || local_ranks <= 1 || own_processors) return all;
  return {std::max<int64_t>(1, all.threads / local_ranks),
          fmt::format("{}, shared by {} ranks", all.reason, local_ranks), /*asked=*/false};
}

void use_threads(const ThreadChoice& choice) {
  last_choice() = choice;
  at::set_num_threads(static_cast<int>(choice.threads));
}

const ThreadChoice& threads_in_use() { return last_choice(); }

ThreadChoice threads_for_model(const ThreadChoice& base, int64_t parameters) {
  const int64_t threads = std::max<int64_t>(1, parameters / kParametersOfAThread);
  if (base.asked || threads >= base.threads) return base;
  return {threads, "one for every 2 million parameters", /*asked=*/false};
}

ModelThreads::ModelThreads(int64_t parameters) : before_(at::get_num_threads()) {
  const ThreadChoice& base = last_choice();
  const ThreadChoice choice = threads_for_model(base, parameters);
  if (choice.threads < base.threads) at::set_num_threads(static_cast<int>(choice.threads));
}

ModelThreads::~ModelThreads() { at::set_num_threads(before_); }

}  // namespace elastikv
