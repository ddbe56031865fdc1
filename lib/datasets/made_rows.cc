#include "datasets/made_rows.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"

namespace elastikv {

std::string MadeRow::json() const {
  nlohmann::ordered_json json{{"task", task},         {"context", context},
                              {"question", question}, {"answer_prefix", answer_prefix},
                              {"answer", answers},    {"max_new_tokens", max_new_tokens},
                              {"length", length}};
  if (depth && target) {
    json["depth"] = *depth;
    json["cell"] = fmt::format("length {} at depth {}", *target, *depth);
  }
  return json.dump();
}

MadeRow largest_row(const std::function<MadeRow(size_t size)>& make, const MadeTarget& target,
                    size_t least, size_t most) {
  const auto made = [&](size_t size) {
    MadeRow row = make(size);
    row.length = target.length_of(row);
    return row;
  };
  MadeRow best = made(least);
  if (best.length > target.length) {
    fail("task '{}': the shortest row takes {} tokens, more than the length {}", best.task,
         best.length, target.length);
  }
  size_t fits = least;
  size_t step = std::max<size_t>(least, 1);
  // The first size that is too long is looked for by doubling, the last that is not by halving.
  size_t too_long = most + 1;
  for (size_t size = least; size < most;) {
    size = std::min(size + step, most);
    step *= 2;
    MadeRow row = made(size);
    if (row.length > target.length) {
      too_long = size;
      break;
    }
    fits = size;
    best = std::move(row);
  }
  while (fits + 1 < too_long) {
    const size_t middle = fits + (too_long - fits) / 2;
    MadeRow row = made(middle);
    if (row.length > target.length) {
      too_long = middle;
    } else {
      fits = middle;
      best = std::move(row);
    }
  }
  return best;
}

uint64_t seed_of_row(uint64_t seed, const std::string& task, int64_t length, int64_t row) {
  const std::string hash = content_hash(fmt::format("{}:{}:{}:{}", seed, task, length, row));
  return std::stoull(hash.substr(0, 16), nullptr, /*base=*/16);
}

}  // namespace elastikv
