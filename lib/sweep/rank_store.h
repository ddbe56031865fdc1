#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sweep/rank_place.h"

namespace elastikv {

/// Thrown when the store that ranks share does not answer any more: rank 0 has ended, or its
/// machine.
class StoreLost final : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The texts that the ranks of a sweep share, by key: LibTorch's c10d::TCPStore, which torchrun
/// rendezvous and process groups use, too. Every call is one question and its answer over the
/// network, may be made by any thread, and throws StoreLost.
class RankStore final {
 public:
  /// Connects to the store of `place`, which rank 0 makes unless the launcher has. Error when it
  /// cannot be made, or not be reached within `patience` (at least 30 seconds), with its address
  /// and port.
  static std::unique_ptr<RankStore> connect(const RankPlace& place,
                                            std::chrono::milliseconds patience = {});
  /// A store within this process, for ranks that are threads.
  static std::unique_ptr<RankStore> in_process();
  /// Another way to the same store, for a rank of its own. Of one that was connected, another
  /// connection.
  std::unique_ptr<RankStore> another() const;
  ~RankStore();
  RankStore(const RankStore&) = delete;
  RankStore& operator=(const RankStore&) = delete;

  /// A value may be empty.
  void set(const std::string& key, const std::string& value);
  void set_all(const std::vector<std::pair<std::string, std::string>>& values);
  /// Of keys that are there: waits for one that is not.
  std::string get(const std::string& key);
  std::vector<std::string> get_all(const std::vector<std::string>& keys);
  bool has(const std::string& key);
  /// Adds to a number, which is 0 where there is none, and returns the sum.
  int64_t add(const std::string& key, int64_t amount);
  /// Puts `desired` in the place of `expected` (empty: of nothing) and returns what is there
  /// afterwards. Of a key that is not there `expected` has to be empty.
  std::string compare_set(const std::string& key, const std::string& expected,
                          const std::string& desired);
  /// Adds a text to that of a key that is there.
  void append(const std::string& key, const std::string& text);

 private:
  struct State;
  explicit RankStore(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace elastikv
