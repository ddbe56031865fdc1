#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "cache/kv_cache.h"
#include "image/image_processor.h"
#include "models/model.h"
#include "models/registry.h"
#include "strategies/statistics.h"
#include "text/prompt_format.h"
#include "text/tokenizer.h"

namespace elastikv {

/// What a checkpoint folder needs beside its weights to read prompts: cheap to open, so that inputs
/// can be checked before weights load.
class PromptReader {
 public:
  /// `prompt_format`: a format's name, or "auto" for what the checkpoint's chat template says.
  PromptReader(const std::filesystem::path& folder, const std::string& prompt_format,
               std::optional<ImageAspectRatio> ratio = std::nullopt);

  /// One user turn as ids. The picture goes where the question says `<image>`, else where the
  /// format puts it.
  TokenizedPrompt tokenize(const std::string& question, bool with_picture) const;
  /// Ids as they are, without a picture.
  static TokenizedPrompt from_ids(std::vector<int64_t> ids);
  /// The ids of an answer: no special tokens around it.
  std::vector<int64_t> tokenize_answer(const std::string& answer) const;

  /// Error when a prompt and `new_tokens` more do not fit the model's context; `what` names the
  /// prompt.
  void require_room(const TokenizedPrompt& prompt, int64_t new_tokens,
                    const std::string& what) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Null for a model without pictures.
  const ImageProcessor* image_processor() const { return image_processor_.get(); }
  const PromptFormat& format() const { return format_; }
  const ModelSummary& summary() const { return summary_; }
  const std::vector<int64_t>& end_tokens() const { return end_tokens_; }

 private:
  std::filesystem::path folder_;
  ModelSummary summary_;
  const PromptFormat& format_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ImageProcessor> image_processor_;
  int64_t image_token_ = -1;
  std::vector<int64_t> end_tokens_;
};

struct EncodeSeconds {
  double image = 0;       ///< decoding, processing, vision tower, projector
  double prefill = 0;     ///< without the statistics
  double statistics = 0;  ///< what strategies asked for beyond a plain prefill
};

/// A prompt after its prefill: what every cell of a sweep forks from.
struct EncodedPrompt {
  KVCache cache;
  at::Tensor logits;  ///< f32 [vocab] of the last position, from the uncompressed cache
  PromptStatistics statistics;
  EncodeSeconds seconds;
};

/// Encodes a picture (if the prompt has one) and runs the prefill. `picture` may be empty for a
/// prompt without one. Computes what `request` asks for; Error when this prompt cannot give it
/// (rows of text after a picture, where there is none). Keys and values in the statistics may be
/// views of the prompt's cache, which must stay as it is.
EncodedPrompt encode_prompt(const Model& model, const PromptReader& reader,
                            const TokenizedPrompt& prompt, const std::filesystem::path& picture,
                            const StatisticsRequest& request, uint64_t seed);

/// The same for ids alone, without a picture.
EncodedPrompt encode_ids(const Model& model, const std::vector<int64_t>& ids,
                         const StatisticsRequest& request, uint64_t seed);

}  // namespace elastikv
