#include "runtime/non_finite.h"

#include <algorithm>

#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "kernels/finite.h"

namespace elastikv {
namespace {

/// What may be the reason: at 16 bits of fp16 also numbers that only became too large.
std::string because(const std::string& what, c10::ScalarType dtype) {
  return what +
         (dtype == at::kHalf
              ? "; a number may be too large for fp16 (try bf16 or fp32), or a weight of the "
                "checkpoint damaged"
              : "; a weight of the checkpoint may be damaged");
}

/// The first row of [rows, n] that holds a number that is not finite; -1 where there is none.
int64_t first_broken_row(const at::Tensor& rows) {
  const at::Tensor whole = at::isfinite(rows).all(1).cpu();
  for (int64_t row = 0; row < whole.size(0); ++row) {
    if (!whole.const_data_ptr<bool>()[row]) return row;
  }
  return -1;
}

std::string token_text(int64_t id, const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) return fmt::format("token {}", id);
  return fmt::format("token {} ('{}')", id, tokenizer->decode({id}, /*skip_special=*/false));
}

/// Keys or values of a layer, one head at a time: heads may be of different lengths.
bool entries_are_finite(const KVCache& cache, int64_t layer, bool keys) {
  for (int64_t head = 0; head < cache.shape().kv_heads; ++head) {
    if (!all_finite(keys ? cache.head_keys(layer, head) : cache.head_values(layer, head)))
      return false;
  }
  return true;
}

/// Whether nothing of a layer's newest entry is finite: then what the layer was given was not.
bool newest_entry_is_lost(const KVCache& cache, int64_t layer) {
  for (int64_t head = 0; head < cache.shape().kv_heads; ++head) {
    const std::vector<int64_t>& positions =
        cache.positions(layer, cache.groups(layer) == 1 ? 0 : head);
    if (positions.empty()) return false;
    const auto newest = std::max_element(positions.begin(), positions.end()) - positions.begin();
    for (const at::Tensor& entries :
         {cache.head_keys(layer, head), cache.head_values(layer, head)}) {
      if (at::isfinite(entries[newest]).any().item<bool>()) return false;
    }
  }
  return true;
}

}  // namespace

std::string first_non_finite(const LanguageModel& model, const EmbeddedPrompt& prompt) {
  const CacheShape shape = model.cache_shape();
  if (const int64_t row = first_broken_row(prompt.embeddings); row >= 0) {
    for (size_t i = 0; i < prompt.images.size(); ++i) {
      // Between its features an image may have text, such as the names of its tiles.
      if (row >= prompt.images[i].begin && row < prompt.images[i].end &&
          std::binary_search(prompt.placeholders.begin(), prompt.placeholders.end(), row))
        return because(fmt::format("the features of image {} are not finite", i + 1), shape.dtype);
    }
    return because(fmt::format("the embedding of {}, number {} of the prompt's {}, is not finite",
                               token_text(prompt.ids[static_cast<size_t>(row)], prompt.tokenizer),
                               row + 1, prompt.ids.size()),
                   shape.dtype);
  }
  std::string first;  // of what an observer sees
  const Observer observer = [&first](const std::string& name, const at::Tensor& value) {
    if (first.empty() && !all_finite(value)) first = name;
  };
  PrefillInput input;
  input.embeddings = prompt.embeddings;
  input.positions = prompt.positions;
  input.observer = &observer;
  KVCache cache(shape);
  model.prefill(input, cache);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const std::string name = fmt::format("layers.{}", layer);
    std::string what;
    if (!entries_are_finite(cache, layer, /*keys=*/true)) {
      what = "the keys of the prompt are";
    } else if (!entries_are_finite(cache, layer, /*keys=*/false)) {
      what = "the values of the prompt are";
    } else if (first == name + ".queries") {
      what = "the queries of the prompt are";
    } else if (first == name + ".attn_out") {
      what = "the output of the attention is";
    } else if (first == name) {
      what = "the output is";
    }
    if (!what.empty())
      return because(fmt::format("layer {}: {} not finite", layer, what), shape.dtype);
  }
  return because("the logits are not finite, though every layer's output is", shape.dtype);
}

std::string first_non_finite(const LanguageModel& model, const KVCache& cache,
                             const std::vector<int64_t>& fed) {
  const c10::ScalarType dtype = cache.shape().dtype;
  if (!fed.empty()) {
    const int64_t row = first_broken_row(model.embed(at::tensor(fed, at::kLong)));
    if (row >= 0) {
      return because(
          fmt::format("the embedding of token {} is not finite", fed[static_cast<size_t>(row)]),
          dtype);
    }
  }
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
    const bool keys = entries_are_finite(cache, layer, /*keys=*/true);
    if (keys && entries_are_finite(cache, layer, /*keys=*/false)) continue;
    if (layer > 0 && newest_entry_is_lost(cache, layer))
      return because(fmt::format("layer {}: the output is not finite", layer - 1), dtype);
    return because(
        fmt::format("layer {}: {} in the cache are not finite", layer, keys ? "values" : "keys"),
        dtype);
  }
  return because("the logits are not finite, though every key and value is", dtype);
}

}  // namespace elastikv
