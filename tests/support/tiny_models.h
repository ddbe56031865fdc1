#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include "models/registry.h"
#include "runtime/prompt_encoder.h"
#include "strategies/strategy.h"
#include "support/paths.h"
#include "weights/safetensors.h"

/// Where the golden files and the random small models lie; tests/parity/README.md describes them.
inline std::filesystem::path parity_folder() { return source_path("tests/parity/data"); }

inline std::vector<int64_t> to_ids(const at::Tensor& ids) {
  return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
}

/// Computes on one thread while it lives: matrices as small as those of the random models gain
/// nothing from more, which wait for each other on a busy machine. $ELASTIKV_TEST_THREADS asks for
/// another number all the same: what threads do to each other is what the thread sanitizer is for.
class OneThread {
 public:
  OneThread() {
    const char* threads = std::getenv("ELASTIKV_TEST_THREADS");
    at::set_num_threads(threads == nullptr ? 1 : std::atoi(threads));
  }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = at::get_num_threads();
};

/// One of the random small models with the file of what transformers computes for it. They have no
/// tokenizer, so prompts are ids and pixel values from that file.
struct TinyModel {
  explicit TinyModel(const std::string& model_name,
                     c10::Device device = c10::Device(c10::DeviceType::CPU),
                     c10::ScalarType dtype = c10::ScalarType::Float)
      : name(model_name),
        folder(parity_folder() / model_name),
        golden(parity_folder() / (model_name + ".golden.safetensors")),
        model(elastikv::load_model(folder, device, dtype)) {}

  const elastikv::LanguageModel& language() const { return model->language(); }
  at::Tensor ids() const { return golden.tensor("input_ids"); }
  int64_t tokens() const { return ids().size(0); }
  /// First token after the image; 0 without one.
  int64_t text_begin() const {
    int64_t begin = 0;
    const std::vector<int64_t> all = to_ids(ids());
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i] == model->image_token()) begin = static_cast<int64_t>(i) + 1;
    }
    return begin;
  }

  /// The prompt as the decoder takes it, the image in place of its placeholders: [tokens,
  /// hidden].
  at::Tensor embeddings(const elastikv::Observer* observer = nullptr) const {
    const at::Tensor text = language().embed(ids());
    const int64_t end = text_begin();
    if (end == 0) return text;
    const at::Tensor pixels = golden.tensor("pixel_values");
    elastikv::ProcessedImage image{pixels.unsqueeze(0), {}};
    image.geometry.image = image.geometry.view = {pixels.size(1), pixels.size(2)};
    const at::Tensor features = model->encode_image(image, observer);
    return at::cat({text.narrow(0, 0, end - features.size(0)), features,
                    text.narrow(0, end, text.size(0) - end)});
  }

  /// What encode_prompt makes of a prompt, with all statistics that a preset reads, for the first
  /// `count` tokens.
  elastikv::EncodedPrompt encode(int64_t count) const {
    elastikv::EncodedPrompt prompt{elastikv::KVCache(language().cache_shape()), {}, {}, {}};
    elastikv::PrefillInput input;
    input.embeddings = embeddings().narrow(0, 0, count);
    input.request.column_sums = true;
    input.request.column_max = true;
    input.request.row_entropy = true;
    input.request.decays = {0.9};
    input.request.last_rows = count;
    input.request.query_moments = {4};
    elastikv::PrefillOutput output = language().prefill(input, prompt.cache);
    prompt.logits = output.logits;
    prompt.statistics.prompt_tokens = count;
    prompt.statistics.query_heads = language().query_heads();
    prompt.statistics.kv_heads = language().cache_shape().kv_heads;
    prompt.statistics.seed = 7;
    prompt.statistics.rotary_frequencies = language().rotary_frequencies(prompt.cache);
    const std::vector<int64_t> all = to_ids(ids());
    const int64_t end = text_begin();
    if (end > 0 && end <= count) {
      prompt.statistics.image_begin =
          end - std::count(all.begin(), all.end(), model->image_token());
      prompt.statistics.image_end = end;
    }
    for (elastikv::PrefillStatistics& statistics : output.statistics) {
      elastikv::LayerStatistics& layer = prompt.statistics.layers.emplace_back();
      static_cast<elastikv::PrefillStatistics&>(layer) = std::move(statistics);
      const auto i = static_cast<int64_t>(prompt.statistics.layers.size()) - 1;
      layer.keys = prompt.cache.keys(i).cpu().to(at::kFloat);
      layer.values = prompt.cache.values(i).cpu().to(at::kFloat);
    }
    return prompt;
  }
  elastikv::EncodedPrompt encode() const { return encode(tokens()); }

  OneThread one_thread;
  std::string name;
  std::filesystem::path folder;
  elastikv::SafetensorsFile golden;
  std::unique_ptr<elastikv::Model> model;
};

/// Whether a prompt has what a strategy reads: some need text after an image.
inline bool can_run(const elastikv::Strategy& strategy, const elastikv::EncodedPrompt& prompt) {
  const elastikv::PromptStatistics& s = prompt.statistics;
  return elastikv::missing_for(strategy.needs(), s.prompt_tokens, s.image_begin, s.image_end)
      .empty();
}

inline std::vector<std::string> tiny_model_names() {
  return {"tiny_llava_a", "tiny_llava_b", "tiny_llama_a", "tiny_llama_b"};
}
