#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace elastikv {

/// A row of a made task in the layout of RULER on the hub: what is read before the question, the
/// question, what the answer begins with, and all that the answer has to hold.
struct MadeRow {
  std::string task;
  std::string context{};
  std::string question{};
  std::string answer_prefix{};
  std::vector<std::string> answers{};
  int64_t max_new_tokens = 0;
  int64_t length = 0;  ///< tokens, with max_new_tokens and MadeTarget::room
  /// Of a needle: how far in it stands, in percent, and which length was asked for.
  std::optional<double> depth{};
  std::optional<int64_t> target{};

  std::string text() const { return context + question + answer_prefix; }
  /// As a line of JSON, without its end.
  std::string json() const;
};

/// How long rows may be, in what.
struct MadeTarget {
  int64_t length = 0;
  int64_t room = 0;  ///< tokens that are left for a chat template
  std::function<int64_t(const std::string& text)> count_tokens{};

  int64_t length_of(const MadeRow& row) const {
    return count_tokens(row.text()) + row.max_new_tokens + room;
  }
};

/// The row of the largest size, `least` to `most`, that is no longer than the target; `make` is
/// asked for sizes in any order. Error where the least is longer, which names the task.
MadeRow largest_row(const std::function<MadeRow(size_t size)>& make, const MadeTarget& target,
                    size_t least, size_t most);

/// The seed of a row, so that it does not depend on which others are made.
uint64_t seed_of_row(uint64_t seed, const std::string& task, int64_t length, int64_t row);

}  // namespace elastikv
