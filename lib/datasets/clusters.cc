#include "datasets/clusters.h"

#include <cstddef>
#include <numeric>
#include <string_view>
#include <unordered_map>

namespace elastikv {
namespace {

/// Sets of numbers that grow together; each is named by its smallest number.
class Sets {
 public:
  explicit Sets(size_t count) : above_(count) { std::iota(above_.begin(), above_.end(), 0); }

  size_t name_of(size_t member) {
    while (above_[member] != member) {
      above_[member] = above_[above_[member]];
      member = above_[member];
    }
    return member;
  }
  void join(size_t one, size_t other) {
    one = name_of(one);
    other = name_of(other);
    if (one < other) {
      above_[other] = one;
    } else {
      above_[one] = other;
    }
  }

 private:
  std::vector<size_t> above_;
};

}  // namespace

void assign_clusters(std::vector<Draft>& drafts) {
  Sets sets(drafts.size());
  std::unordered_map<std::string_view, size_t> first_with;
  for (size_t i = 0; i < drafts.size(); ++i) {
    for (const std::string& thing : drafts[i].shares) {
      const auto [entry, is_new] = first_with.try_emplace(thing, i);
      if (!is_new) sets.join(entry->second, i);
    }
  }
  for (size_t i = 0; i < drafts.size(); ++i) {
    if (!drafts[i].shares.empty())
      drafts[i].sample.cluster = drafts[sets.name_of(i)].shares.front();
  }
}

}  // namespace elastikv
