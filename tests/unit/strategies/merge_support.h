#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "base/yaml_fields.h"
#include "cache/kv_cache.h"
#include "strategies/components.h"

namespace elastikv {

using Row = std::vector<double>;
using Rows = std::vector<Row>;  // [entries][width]

/// A component from what stands behind its role in a preset.
template <typename Make>
auto make_part(Make* make, const std::string& text) {
  return make(Parameters(YamlFields::parse("part: " + text, "p.yaml").at("part")));
}

inline at::Tensor random_tensor(std::mt19937& random, std::vector<int64_t> shape, bool positive) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  std::normal_distribution<float> normal;
  std::exponential_distribution<float> exponential;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    tensor.data_ptr<float>()[i] = positive ? exponential(random) : normal(random);
  }
  return tensor;
}

/// A layer whose selection is made: every group keeps a number of its own.
struct MadeUpLayer {
  int64_t tokens = 0;
  int64_t groups = 1;
  KeptSlots kept{};
  std::vector<Protected> protect{};
  LayerStatistics layer{};  // keys and values
  at::Tensor scores{};      // [groups, tokens]

  CompactionInput input() const {
    return {.kept = kept,
            .protect = protect,
            .tokens = tokens,
            .scores = scores,
            .layer = layer,
            .layer_index = 3,
            .seed = 17};
  }
  std::vector<int64_t> dropped(size_t group) const {
    std::vector<int64_t> slots;
    for (int64_t slot = 0; slot < tokens; ++slot) {
      bool stays = false;
      for (const int64_t other : kept[group]) stays = stays || other == slot;
      if (!stays) slots.push_back(slot);
    }
    return slots;
  }
  bool is_anchor(size_t group, size_t index, bool all) const {
    const int64_t slot = kept[group][index];
    return all || (slot >= protect[group].sinks && slot < tokens - protect[group].recent);
  }
  /// The key of a group's entry as its decision sees it: one head's, or all heads' side by side.
  Row key(int64_t group, int64_t slot) const { return state(layer.keys, group, slot); }
  Row value(int64_t group, int64_t slot) const { return state(layer.values, group, slot); }

 private:
  Row state(const at::Tensor& states, int64_t group, int64_t slot) const {
    Row row;
    const float* first = states.const_data_ptr<float>();
    for (int64_t head = 0; head < states.size(0); ++head) {
      if (groups > 1 && head != group) continue;
      for (int64_t d = 0; d < states.size(2); ++d) {
        row.push_back(first[(head * tokens + slot) * states.size(2) + d]);
      }
    }
    return row;
  }
};

/// All rows of one head of a contiguous [heads, entries, width] tensor.
inline Rows rows_of(const at::Tensor& x, int64_t head) {
  Rows rows;
  const float* value = x.const_data_ptr<float>() + head * x.size(1) * x.size(2);
  for (int64_t n = 0; n < x.size(1); ++n, value += x.size(2)) {
    rows.emplace_back(value, value + x.size(2));
  }
  return rows;
}

/// Random keys, values and scores; about half of the groups keep fewer than a third. Some keep
/// protected entries only.
inline MadeUpLayer made_up_layer(unsigned seed, bool head_wise) {
  std::mt19937 random(seed);
  const auto below = [&random](int64_t count) {
    return static_cast<int64_t>(random() % static_cast<uint32_t>(count));
  };
  MadeUpLayer made;
  const int64_t kv_heads = 1 + below(3);
  made.tokens = 2 + below(60);
  made.groups = head_wise ? kv_heads : 1;
  made.layer.keys = random_tensor(random, {kv_heads, made.tokens, 4}, /*positive=*/false);
  made.layer.values = random_tensor(random, {kv_heads, made.tokens, 4}, /*positive=*/false);
  made.scores = random_tensor(random, {made.groups, made.tokens}, /*positive=*/true);
  for (int64_t g = 0; g < made.groups; ++g) {
    Protected protect{.sinks = below(3), .recent = below(4)};
    if (protect.sinks + protect.recent == 0 || protect.sinks + protect.recent > made.tokens) {
      protect = {.sinks = 1, .recent = 0};
    }
    const double share = below(2) == 0 ? 0.3 : 0.8;
    const bool only_protected = below(8) == 0;
    auto& row = made.kept.emplace_back();
    for (int64_t slot = 0; slot < made.tokens; ++slot) {
      const bool stays = slot < protect.sinks || slot >= made.tokens - protect.recent;
      const bool lucky = static_cast<double>(below(1000)) < 1000.0 * share;
      if (stays || (lucky && !only_protected)) row.push_back(slot);
    }
    made.protect.push_back(protect);
  }
  return made;
}

inline double dot(const Row& a, const Row& b) {
  double sum = 0.0;
  for (size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
  return sum;
}
inline double cosine(const Row& a, const Row& b) {
  return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
}
inline double distance(const Row& a, const Row& b) {
  double sum = 0.0;
  for (size_t d = 0; d < a.size(); ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return std::sqrt(sum);
}

/// What a plan makes of one head's entries, by LayerPlan's own words.
inline Rows carried_out(const LayerPlan& plan, int64_t head, const Rows& x, bool is_key) {
  const int64_t g = plan.kept.size(0) == 1 ? 0 : head;
  const auto at = [g](const at::Tensor& weights, int64_t i) {
    if (!weights.defined()) return 1.0;
    return static_cast<double>(weights.const_data_ptr<float>()[g * weights.size(1) + i]);
  };
  const int64_t* kept = plan.kept.const_data_ptr<int64_t>() + g * plan.kept.size(1);
  Rows merged;
  for (int64_t a = 0; a < plan.kept.size(1) && kept[a] >= 0; ++a) {
    Row sum = x[static_cast<size_t>(kept[a])];
    merged.push_back(sum);
    if (!plan.source.defined() || (is_key && !plan.merge_keys)) continue;
    double total = at(plan.anchor_weight, a);
    for (double& value : sum) value *= total;
    bool alone = true;
    const int64_t merges = plan.source.size(1);
    const int64_t* source = plan.source.const_data_ptr<int64_t>() + g * merges;
    const int64_t* anchor = plan.anchor.const_data_ptr<int64_t>() + g * merges;
    for (int64_t i = 0; i < merges && source[i] >= 0; ++i) {
      if (anchor[i] != a) continue;
      alone = false;
      const double weight = at(plan.source_weight, i);
      const Row& other = x[static_cast<size_t>(source[i])];
      for (size_t d = 0; d < sum.size(); ++d) sum[d] += weight * other[d];
      total += weight;
    }
    if (alone) continue;
    for (double& value : sum) value /= plan.rule == LayerPlan::Rule::kMean ? total : 1.0;
    merged.back() = sum;
  }
  return merged;
}

/// One group's oracle: by index into `kept`, the entries that join it, with a weight each.
struct Member {
  int64_t slot;
  double weight;
};
using Members = std::vector<std::vector<Member>>;

/// What becomes of an anchor's entry; x are one head's entries.
using Combine = std::function<Row(const Rows& x, int64_t anchor, const std::vector<Member>&)>;

inline Row weighted_mean(const Rows& x, int64_t anchor, const std::vector<Member>& members) {
  Row sum = x[static_cast<size_t>(anchor)];
  double total = 1.0;
  for (const Member& member : members) {
    total += member.weight;
    for (size_t d = 0; d < sum.size(); ++d) {
      sum[d] += member.weight * x[static_cast<size_t>(member.slot)][d];
    }
  }
  for (double& value : sum) value /= total;
  return sum;
}

/// Compares a plan with the oracle: each head's keys and values, by LayerPlan's own words and as a
/// cache carries the plan out.
inline void expect_merged(const LayerPlan& plan, const MadeUpLayer& made,
                          const std::function<Members(int64_t group)>& oracle,
                          const Combine& combine = weighted_mean, bool keys_too = true) {
  KVCache cache(
      {.layers = 1, .kv_heads = made.layer.keys.size(0), .head_dim = made.layer.keys.size(2)});
  cache.append(0, made.layer.keys, made.layer.values, /*first_position=*/0);
  cache.apply(0, plan);
  for (int64_t g = 0; plan.anchor.defined() && g < made.groups; ++g) {
    const int64_t* anchor = plan.anchor.const_data_ptr<int64_t>() + g * plan.anchor.size(1);
    const int64_t* end = std::find(anchor, anchor + plan.anchor.size(1), -1);
    ASSERT_TRUE(std::is_sorted(anchor, end)) << "group " << g;
  }
  for (int64_t head = 0; head < made.layer.keys.size(0); ++head) {
    const int64_t group = made.groups == 1 ? 0 : head;
    const auto& kept = made.kept[static_cast<size_t>(group)];
    const Members members = oracle(group);
    for (const bool is_key : {true, false}) {
      const Rows x = rows_of(is_key ? made.layer.keys : made.layer.values, head);
      const Rows now = carried_out(plan, head, x, is_key);
      const at::Tensor cached = is_key ? cache.head_keys(0, head) : cache.head_values(0, head);
      const Rows stored = rows_of(cached.contiguous().unsqueeze(0), 0);
      ASSERT_EQ(now.size(), kept.size());
      ASSERT_EQ(stored.size(), kept.size());
      for (size_t a = 0; a < kept.size(); ++a) {
        const Row wanted =
            is_key && !keys_too ? x[static_cast<size_t>(kept[a])] : combine(x, kept[a], members[a]);
        for (size_t d = 0; d < wanted.size(); ++d) {
          ASSERT_NEAR(now[a][d], wanted[d], 1e-5)
              << (is_key ? "key" : "value") << " of head " << head << ", anchor " << a;
          ASSERT_NEAR(stored[a][d], wanted[d], 1e-4) << "in the cache";
        }
      }
    }
  }
}

}  // namespace elastikv
