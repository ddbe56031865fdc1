#include "sweep/shared_work.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/fields.h"
#include "sweep/rank_watch.h"

namespace elastikv {
namespace {

using Clock = std::chrono::steady_clock;

/// Signs of life in the time after which a rank is taken for lost.
constexpr int kSigns = 6;

/// Which units are to be done, a letter for each.
constexpr const char* kOffer = "offer";
constexpr char kOpenBit = '-';
constexpr char kDoneBit = 'd';

int64_t number_in(const std::string& text) {
  int64_t number = 0;
  parse_int(text, number);
  return number;
}

}  // namespace

/// Rank 0's look at the others, from the thread that shows its own life.
class SharedWork::Watch {
 public:
  explicit Watch(RankWatch watch) : watch_(std::move(watch)) {}

  void look(RankStore& store) {
    const std::lock_guard<std::mutex> lock(mutex_);
    watch_.look(store, Clock::now());
  }
  int64_t alive() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return watch_.alive();
  }
  bool others_gone() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return watch_.others_gone();
  }

 private:
  mutable std::mutex mutex_;
  RankWatch watch_;
};

SharedWork::SharedWork(RankStore& store, int64_t rank, int64_t world, const RankTiming& timing)
    : store_(store), rank_(rank), world_(world), timing_(timing) {
  incarnation_ = store_.add(fmt::format("came/{}", rank_), 1);
  store_.set(work_keys::life(rank_), fmt::format("{}:0", incarnation_));
  thread_ = std::thread([this] { show_life(); });
}

SharedWork::~SharedWork() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  ending_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SharedWork::list(const std::vector<bool>& open) {
  for (size_t unit = 0; unit < units_.size(); ++unit) {
    lists_.resize(std::max(lists_.size(), units_[unit].model + 1));
    if (open[unit]) lists_[units_[unit].model].push_back(unit);
  }
  for (std::vector<size_t>& list : lists_) {
    std::stable_sort(list.begin(), list.end(),
                     [&](size_t a, size_t b) { return units_[a].cost > units_[b].cost; });
    std::vector<double>& behind = costs_behind_.emplace_back(list.size() + 1);
    for (size_t i = list.size(); i-- > 0;) behind[i] = behind[i + 1] + units_[list[i]].cost;
  }
  total_ = std::count(open.begin(), open.end(), true);
}

std::string SharedWork::own_name() const { return fmt::format("{}.{}", rank_, incarnation_); }

std::chrono::milliseconds SharedWork::pause() const {
  if (timing_.pause) return *timing_.pause;
  return std::chrono::milliseconds(std::clamp<int64_t>(world_ / 2, 50, 2000));
}

void SharedWork::show_life() {
  const auto period = timing_.lost_after / kSigns;
  std::unique_lock<std::mutex> lock(mutex_);
  for (int64_t count = 1; !ended_; ++count) {
    lock.unlock();
    try {
      store_.set(work_keys::life(rank_), fmt::format("{}:{}", incarnation_, count));
      if (joined_) {
        const std::vector<std::string> known =
            store_.get_all({work_keys::kDoneUnits, work_keys::kStopped});
        done_ = number_in(known[0]);
        const std::lock_guard<std::mutex> guard(mutex_);
        stopped_ = known[1];
      }
      Watch* watch = nullptr;
      {
        const std::lock_guard<std::mutex> guard(mutex_);
        watch = watch_.get();
      }
      if (watch != nullptr) {
        watch->look(store_);
        alive_ = watch->alive();
      }
    } catch (const StoreLost&) {
      // Whoever asks next finds out, and says so.
      return;
    }
    lock.lock();
    ending_.wait_for(lock, period, [&] { return ended_; });
  }
}

void SharedWork::offer(std::vector<WorkUnit> units, const std::vector<bool>& open) {
  units_ = std::move(units);
  ELASTIKV_ASSERT(rank_ == 0 && open.size() == units_.size(), "{} of {} units are offered",
                  open.size(), units_.size());
  list(open);
  std::string bits(open.size(), kOpenBit);
  std::vector<std::pair<std::string, std::string>> values;
  for (size_t unit = 0; unit < open.size(); ++unit) {
    if (open[unit]) {
      values.emplace_back(work_keys::unit(unit), work_keys::kOpen);
    } else {
      bits[unit] = kDoneBit;
    }
  }
  for (size_t model = 0; model < lists_.size(); ++model)
    values.emplace_back(work_keys::next(model), "0");
  for (int64_t rank = 1; rank < world_; ++rank) {
    const std::string key = work_keys::life(rank);
    if (!store_.has(key)) values.emplace_back(key, "");
  }
  values.insert(values.end(),
                {{work_keys::kDoneUnits, "0"}, {work_keys::kFreed, ""}, {work_keys::kStopped, ""}});
  store_.set_all(values);
  // The last one, which others wait for.
  store_.set(kOffer, bits);
  const std::lock_guard<std::mutex> lock(mutex_);
  watch_ = std::make_unique<Watch>(RankWatch(world_, lists_, timing_.lost_after, Clock::now()));
  joined_ = true;
}

bool SharedWork::offered() { return store_.has(kOffer); }

void SharedWork::join(std::vector<WorkUnit> units) {
  units_ = std::move(units);
  const std::string bits = store_.get(kOffer);
  ELASTIKV_ASSERT(bits.size() == units_.size(), "{} units were offered, {} are known", bits.size(),
                  units_.size());
  std::vector<bool> open;
  for (const char bit : bits) open.push_back(bit == kOpenBit);
  list(open);
  joined_ = true;
}

bool SharedWork::choose_model() {
  std::vector<std::string> keys;
  for (size_t model = 0; model < lists_.size(); ++model) keys.push_back(work_keys::next(model));
  const std::vector<std::string> drawn = store_.get_all(keys);
  ++questions_;
  std::vector<double> left(lists_.size());
  for (size_t model = 0; model < lists_.size(); ++model) {
    const auto place = static_cast<size_t>(
        std::clamp<int64_t>(number_in(drawn[model]), 0, std::ssize(lists_[model])));
    // Units may cost nothing.
    left[model] =
        costs_behind_[model][place] + 1e-9 * static_cast<double>(lists_[model].size() - place);
  }
  const double all = std::accumulate(left.begin(), left.end(), 0.0);
  if (all <= 0) {
    model_.reset();
    return false;
  }
  if (!model_) {
    // At the beginning ranks are spread over the models by what there is to do.
    double place = (static_cast<double>(rank_) + 0.5) / static_cast<double>(world_) * all;
    size_t model = 0;
    while (model + 1 < left.size() && place >= left[model]) place -= left[model++];
    if (left[model] > 0) {
      model_ = model;
      return true;
    }
  }
  // Later they help where most is left.
  model_ = static_cast<size_t>(std::max_element(left.begin(), left.end()) - left.begin());
  return true;
}

bool SharedWork::name(size_t unit) {
  ++questions_;
  const std::string own = own_name();
  return store_.compare_set(work_keys::unit(unit), work_keys::kOpen, own) == own;
}

std::optional<size_t> SharedWork::take_fresh() {
  while (true) {
    if (!model_ && !choose_model()) return std::nullopt;
    const std::vector<size_t>& list = lists_[*model_];
    while (true) {
      ++questions_;
      const auto place = static_cast<size_t>(store_.add(work_keys::next(*model_), 1) - 1);
      if (place >= list.size()) break;
      if (name(list[place])) return list[place];
    }
    if (!choose_model()) return std::nullopt;
  }
}

std::optional<size_t> SharedWork::take_freed() {
  const std::vector<std::string> known = store_.get_all({work_keys::kFreed, work_keys::kDoneUnits});
  ++questions_;
  done_ = number_in(known[1]);
  const std::string& freed = known[0];
  while (freed_read_ < freed.size()) {
    const size_t end = freed.find(',', freed_read_);
    if (end == std::string::npos) break;
    const int64_t unit = number_in(freed.substr(freed_read_, end - freed_read_));
    freed_read_ = end + 1;
    if (unit < 0 || unit >= std::ssize(units_) || !name(static_cast<size_t>(unit))) continue;
    model_ = units_[static_cast<size_t>(unit)].model;
    return static_cast<size_t>(unit);
  }
  return std::nullopt;
}

std::optional<size_t> SharedWork::take(const std::function<void()>& while_waiting) {
  if (!stopped().empty()) return std::nullopt;
  if (const auto unit = take_fresh()) return unit;
  const auto begin = Clock::now();
  std::optional<size_t> unit;
  while (stopped().empty()) {
    unit = take_freed();
    if (unit || done_ >= total_) break;
    if (while_waiting) while_waiting();
    std::this_thread::sleep_for(pause());
  }
  waited_ += std::chrono::duration<double>(Clock::now() - begin).count();
  return unit;
}

void SharedWork::done(size_t unit) {
  const std::string key = work_keys::unit(unit);
  // Somebody else may hold it by now, or have done it.
  std::string known = own_name();
  while (known != work_keys::kDone) {
    const std::string there = store_.compare_set(key, known, work_keys::kDone);
    ++questions_;
    if (there == work_keys::kDone) {
      // Of two that say so at once each might count it; an answer does not tell who was first.
      ++questions_;
      if (store_.add(key + "/done", 1) == 1) done_ = store_.add(work_keys::kDoneUnits, 1);
      return;
    }
    known = there;
  }
}

void SharedWork::give_back(size_t unit) {
  if (store_.compare_set(work_keys::unit(unit), own_name(), work_keys::kOpen) == work_keys::kOpen)
    store_.append(work_keys::kFreed, fmt::format("{},", unit));
}

void SharedWork::stop(const std::string& reason) {
  store_.compare_set(work_keys::kStopped, "", reason);
  const std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = reason;
}

std::string SharedWork::stopped() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stopped_;
}

void SharedWork::leave() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  ending_.notify_all();
  if (thread_.joinable()) thread_.join();
  store_.set(work_keys::life(rank_), work_keys::kLeft);
}

void SharedWork::wait_for_others(const std::function<bool()>& enough) {
  if (world_ == 1) return;
  Watch* watch = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    watch = watch_.get();
  }
  while (watch != nullptr) {
    watch->look(store_);
    if (watch->others_gone() || (enough && enough())) return;
    std::this_thread::sleep_for(pause());
  }
}

}  // namespace elastikv
