#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "base/device_stopwatch.h"
#include "cache/kv_cache.h"
#include "image/image.h"
#include "image/image_processor.h"
#include "models/image_prompt.h"
#include "models/model.h"
#include "models/registry.h"
#include "strategies/statistics.h"
#include "text/prompt_tokens.h"
#include "text/prompt_writer.h"
#include "text/tokenizer.h"

namespace elastikv {

/// A question as the model reads it.
struct WrittenPrompt {
  std::string text;  ///< with `<image>` for each image
  TokenizedPrompt tokens;
  /// Of each image, in order.
  std::vector<ImageGeometry> geometries;
};

/// What the prompts of a folder's model depend on. `tokenizer` may be null, see PromptModel.
PromptModel prompt_model(const std::filesystem::path& folder, const ModelSummary& summary,
                         const Tokenizer* tokenizer);

/// What a checkpoint folder needs beside its weights to read prompts: cheap to open, so that inputs
/// can be checked before weights load.
class PromptReader {
 public:
  /// `images` overrides what the checkpoint says of image processing. Error as
  /// make_prompt_writer's.
  PromptReader(const std::filesystem::path& folder, const PromptSettings& settings,
               const ImageChoice& images = {});

  /// One user turn with images of these sizes, behind the system turn of the settings. They go
  /// where the question says `<image>`, else where the format puts them. Error for a model without
  /// images, and where the checkpoint's files disagree about an image's tokens (see
  /// ImagePrompt::text).
  /// `answer_prefix` stands behind the opening of the model's answer, which goes on from there.
  WrittenPrompt write(const std::string& question, const std::vector<ImageSize>& images,
                      const std::string& answer_prefix = "") const;
  /// The same of a conversation that ends with a question. `images`: of all turns.
  WrittenPrompt write(const std::vector<Turn>& turns, const std::vector<ImageSize>& images,
                      const std::string& answer_prefix = "") const;
  /// The ids of the same.
  TokenizedPrompt tokenize(const std::string& question, const std::vector<ImageSize>& images,
                           const std::string& answer_prefix = "") const {
    return write(question, images, answer_prefix).tokens;
  }
  /// With the images' files, of which only headers are read.
  TokenizedPrompt tokenize(const std::string& question, const std::vector<ImageFile>& images,
                           const std::string& answer_prefix = "") const;
  /// How the tokens of the one image lie on it, in rows and columns; 0 x 0 where they do not, and
  /// for another number of images. Reads the header of the file.
  ImageSize grid(const std::vector<ImageFile>& images) const;
  /// Ids as they are, without an image.
  static TokenizedPrompt from_ids(std::vector<int64_t> ids);
  /// The ids of an answer: no special tokens around it. Error when one is the placeholder of an
  /// image, which no answer can hold: scored as text it would be a token that is none; `what`
  /// names the answer.
  std::vector<int64_t> tokenize_answer(const std::string& answer, const std::string& what) const;
  /// Error when ids that are to be text hold the placeholder of an image; `what` names them.
  void require_text(const std::vector<int64_t>& ids, const std::string& what) const;

  /// The token that ends an answer: what the prompt's form says, or else the checkpoint's first end
  /// token. Error when neither names one, or the tokenizer does not have it.
  int64_t answer_end() const;

  /// Error when a prompt and `new_tokens` more do not fit the model's context; `what` names the
  /// prompt.
  void require_room(const TokenizedPrompt& prompt, int64_t new_tokens,
                    const std::string& what) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Null for a model without images.
  const ImageProcessor* image_processor() const { return image_processor_.get(); }
  /// Likewise.
  const ImagePrompt* image_prompt() const { return image_prompt_.get(); }
  const PromptWriter& writer() const { return *writer_; }
  const ModelSummary& summary() const { return summary_; }
  /// What the checkpoint's files name, and the special token with which the form ends an answer.
  const std::vector<int64_t>& end_tokens() const { return end_tokens_; }

 private:
  std::filesystem::path folder_;
  ModelSummary summary_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<PromptWriter> writer_;
  std::unique_ptr<ImageProcessor> image_processor_;
  std::unique_ptr<ImagePrompt> image_prompt_;
  std::vector<int64_t> end_tokens_;
};

/// Error when a prompt and `new_tokens` more do not fit a context of that many tokens, and for an
/// empty prompt; `what` names it.
void require_room(const TokenizedPrompt& prompt, int64_t new_tokens, int64_t context,
                  const std::string& what);

/// What prompts of ids alone need of a checkpoint folder beside its weights: config.json. A
/// tokenizer writes the answer as text where the folder has one.
class IdsReader {
 public:
  explicit IdsReader(const std::filesystem::path& folder);

  const ModelSummary& summary() const { return summary_; }
  /// Null where the folder's files give none; then `no_tokenizer` says why.
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  const std::string& no_tokenizer() const { return no_tokenizer_; }
  /// As PromptReader's, as far as the files tell.
  const std::vector<int64_t>& end_tokens() const { return end_tokens_; }

 private:
  ModelSummary summary_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::string no_tokenizer_;
  std::vector<int64_t> end_tokens_;
};

struct EncodeSeconds {
  DeviceSeconds image;       ///< decoding, processing, vision tower, projector
  DeviceSeconds prefill;     ///< without the statistics
  DeviceSeconds statistics;  ///< what strategies asked for beyond a plain prefill
};

/// A prompt after its prefill: what every cell of a sweep forks from.
struct EncodedPrompt {
  KVCache cache;
  at::Tensor logits;  ///< f32 [vocab] of the last position, from the uncompressed cache
  PromptStatistics statistics;
  EncodeSeconds seconds;
  /// By layer, what of the statistics is not finite: a strategy that reads it is refused.
  std::vector<StatisticsRequest> non_finite{};

  /// The same for another sample, with the seed of that: it shares all storage, and took no time.
  EncodedPrompt fork(uint64_t seed) const;
};

/// A prompt's images behind vision tower and projector.
struct EncodedImages {
  at::Tensor features;  ///< [placeholders, hidden]; undefined without images
  std::vector<ImageGeometry> geometries;
  DeviceSeconds seconds;  ///< decoding, processing, vision tower, projector
};
EncodedImages encode_images(const Model& model, const PromptReader& reader,
                            const std::vector<ImageFile>& images);

/// Encodes the prompt's images and runs the prefill. Computes what `request` asks for; Error when
/// this prompt cannot give it (rows of text after an image, where there is none), and when the
/// model's numbers are not finite, which says what is first (first_non_finite). Strategies see
/// the images as one span, from the first one's first token to the last one's last, text between
/// them included. Keys and values in the statistics may be views of the prompt's cache, which must
/// stay as it is. `on_layer`: see PrefillInput.
EncodedPrompt encode_prompt(const Model& model, const PromptReader& reader,
                            const TokenizedPrompt& prompt, const std::vector<ImageFile>& images,
                            const StatisticsRequest& request, uint64_t seed,
                            const LayerWatch& on_layer = {});

/// What a prefill takes over from an earlier one, and what it leaves for later ones.
struct SharedBeginning {
  const PromptBeginning* beginning = nullptr;  ///< of these very ids, behind the same images
  PromptBeginning* keep = nullptr;             ///< gets what is computed of all tokens
};

/// The same with images that are encoded already, which several prompts may share: parts of one
/// that are compressed at different moments. Their seconds are not counted again. With `shared`
/// only the tokens behind a beginning are run; what comes out differs by rounding at most.
EncodedPrompt prefill_prompt(const Model& model, const PromptReader& reader,
                             const TokenizedPrompt& prompt, const EncodedImages& images,
                             const StatisticsRequest& request, uint64_t seed,
                             const LayerWatch& on_layer = {}, const SharedBeginning& shared = {});

/// The same for ids alone, without an image.
EncodedPrompt encode_ids(const Model& model, const std::vector<int64_t>& ids,
                         const StatisticsRequest& request, uint64_t seed);

}  // namespace elastikv
