#include "sweep/rank_store.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <sys/resource.h>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "base/error.h"

namespace elastikv {

struct RankStore::State {
  c10::intrusive_ptr<c10d::Store> store;  // without the prefix
  c10::intrusive_ptr<c10d::Store> own;    // with it
  std::string prefix;
  std::string where;  // "HOST:PORT"; empty within a process
  std::string address;
  int64_t port = 0;
};

namespace {

using Bytes = std::vector<uint8_t>;

/// The time to connect in. c10d takes what it is told about 2.5 times: it tries, waits and tries
/// again.
constexpr std::chrono::milliseconds kPatience{30000};
constexpr int kAttempts = 11;
constexpr int kAttemptsOf = 30;
/// Of an answer: longer than a machine that swaps takes, or one whose rank 0 is stopped for a
/// while.
constexpr std::chrono::seconds kAnswer{120};

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

/// The reason without LibTorch's stack trace.
std::string reason_of(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

/// The store has a connection for every rank.
void allow_connections() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

/// What c10d logs of every attempt comes with stack traces; the errors say the same.
void keep_c10d_quiet() { FLAGS_caffe2_log_level = c10::GLOG_FATAL; }

c10::intrusive_ptr<c10d::Store> open_store(const std::string& address, int64_t port, bool serve,
                                           std::chrono::milliseconds patience = kPatience) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = serve;
  options.waitWorkers = false;
  options.timeout = patience * kAttempts / kAttemptsOf;
  auto store = c10::make_intrusive<c10d::TCPStore>(address, options);
  store->setTimeout(kAnswer);
  return store;
}

}  // namespace

RankStore::RankStore(std::unique_ptr<State> state) : state_(std::move(state)) {
  state_->own = c10::make_intrusive<c10d::PrefixStore>(state_->prefix, state_->store);
}

RankStore::~RankStore() = default;

std::unique_ptr<RankStore> RankStore::connect(const RankPlace& place,
                                              std::chrono::milliseconds patience) {
  keep_c10d_quiet();
  auto state = std::make_unique<State>();
  state->prefix = fmt::format("elastikv/{}", place.run);
  state->where = fmt::format("{}:{}", place.address, place.port);
  state->address = place.address;
  state->port = place.port;
  const bool serve = place.rank == 0 && !place.launcher_store;
  if (serve) allow_connections();
  try {
    state->store = open_store(place.address, place.port, serve, std::max(patience, kPatience));
  } catch (const std::exception& error) {
    if (serve) {
      fail(
          "rank 0 cannot make the store of the sweep's ranks at {} (MASTER_ADDR, MASTER_PORT): {}; "
          "choose another MASTER_PORT",
          state->where, reason_of(error));
    }
    fail(
        "the store of the sweep's ranks at {} (MASTER_ADDR, MASTER_PORT) cannot be reached: {}; is "
        "rank 0 running there, and may this machine connect to that port?",
        state->where, reason_of(error));
  }
  return std::unique_ptr<RankStore>(new RankStore(std::move(state)));
}

std::unique_ptr<RankStore> RankStore::in_process() {
  auto state = std::make_unique<State>();
  state->prefix = "elastikv";
  state->store = c10::make_intrusive<c10d::HashStore>();
  return std::unique_ptr<RankStore>(new RankStore(std::move(state)));
}

std::unique_ptr<RankStore> RankStore::another() const {
  auto state = std::make_unique<State>(*state_);
  if (!state->where.empty()) {
    try {
      state->store = open_store(state->address, state->port, /*serve=*/false);
    } catch (const std::exception& error) {
      fail("the store of the sweep's ranks at {} cannot be reached: {}", state->where,
           reason_of(error));
    }
  }
  return std::unique_ptr<RankStore>(new RankStore(std::move(state)));
}

namespace {

template <typename Ask>
auto ask(const std::string& where, Ask question) {
  try {
    return question();
  } catch (const std::exception& error) {
    throw StoreLost(fmt::format(
        "the store of the sweep's ranks at {} does not answer any more: rank 0 or its machine has "
        "ended ({})",
        where, reason_of(error)));
  }
}

}  // namespace

void RankStore::set(const std::string& key, const std::string& value) {
  ask(state_->where, [&] { state_->own->set(key, bytes_of(value)); });
}

void RankStore::set_all(const std::vector<std::pair<std::string, std::string>>& values) {
  constexpr size_t kAtOnce = 4096;
  for (size_t begin = 0; begin < values.size(); begin += kAtOnce) {
    std::vector<std::string> keys;
    std::vector<Bytes> bytes;
    for (size_t i = begin; i < std::min(values.size(), begin + kAtOnce); ++i) {
      keys.push_back(values[i].first);
      bytes.push_back(bytes_of(values[i].second));
    }
    ask(state_->where, [&] { state_->own->multiSet(keys, bytes); });
  }
}

std::string RankStore::get(const std::string& key) {
  return ask(state_->where, [&] { return text_of(state_->own->get(key)); });
}

std::vector<std::string> RankStore::get_all(const std::vector<std::string>& keys) {
  std::vector<std::string> values;
  if (keys.empty()) return values;
  for (const Bytes& bytes : ask(state_->where, [&] { return state_->own->multiGet(keys); }))
    values.push_back(text_of(bytes));
  return values;
}

bool RankStore::has(const std::string& key) {
  return ask(state_->where, [&] { return state_->own->check({key}); });
}

int64_t RankStore::add(const std::string& key, int64_t amount) {
  return ask(state_->where, [&] { return state_->own->add(key, amount); });
}

std::string RankStore::compare_set(const std::string& key, const std::string& expected,
                                   const std::string& desired) {
  return ask(state_->where, [&] {
    return text_of(state_->own->compareSet(key, bytes_of(expected), bytes_of(desired)));
  });
}

void RankStore::append(const std::string& key, const std::string& text) {
  ask(state_->where, [&] { state_->own->append(key, bytes_of(text)); });
}

}  // namespace elastikv
