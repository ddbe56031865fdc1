#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/decoder.h"
#include "text/post_processor.h"

namespace elastikv {

/// Text to token ids and back, as a checkpoint defines it. All of it may be used by several threads
/// at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// The ids of a text. The texts of added tokens in it ("<image>", "<|im_end|>") become those
  /// tokens. `add_special` puts the ids of special_ids() around. Bytes that are no UTF-8 count as
  /// U+FFFD.
  virtual std::vector<int64_t> encode(std::string_view text, bool add_special = false) const = 0;

  /// The text of some ids, always valid UTF-8. Ids that no token has leave no trace (a model's
  /// output layer is often wider than its vocabulary); `skip_special` leaves special tokens out.
  std::string decode(const std::vector<int64_t>& ids, bool skip_special) const;

  virtual std::optional<int64_t> token_to_id(std::string_view token) const = 0;
  /// The token as the vocabulary spells it (byte-level letters, U+2581 for a blank, ...); an added
  /// token that is looked for in normalized text, in its normalized form.
  virtual std::optional<std::string> id_to_token(int64_t id) const = 0;
  /// One more than the largest id.
  virtual int64_t vocab_size() const = 0;
  /// Whether it marks structure rather than text: an added token declared special.
  virtual bool is_special(int64_t id) const = 0;
  /// What `add_special` puts around a text.
  virtual const SpecialIds& special_ids() const = 0;
  /// The token that the checkpoint's files name as 'bos_token', whether or not special_ids() puts
  /// it in front; nothing when they name none, or one that is not in the vocabulary.
  std::optional<int64_t> bos_id() const { return bos_id_; }

  /// The way from tokens to text, piece by piece; StreamingDecoder is the door to it.
  /// `skip_special` promises that no special token will come.
  virtual std::unique_ptr<DecoderRun> start_decoding(bool skip_special) const = 0;

 protected:
  std::optional<int64_t> bos_id_;
};

/// Loads the tokenizer of a checkpoint from the first of these that is there:
/// - tokenizer.json: a byte-pair model, byte-level (GPT-2, Qwen2, Llama 3) or on characters with
///   byte fallback (LLaMA, Vicuna);
/// - tokenizer.model: a byte-pair model of SentencePiece, as transformers' LlamaTokenizer reads it;
/// - qwen.tiktoken: the ranked tokens of Qwen and Qwen-VL;
/// - vocab.json and merges.txt: Qwen2Tokenizer or GPT2Tokenizer, as tokenizer_config.json says.
/// Error naming the file and the key, line or entry when all are missing, or when it is malformed
/// or of a kind that is not supported.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& checkpoint);

/// One hash over the files that load_tokenizer reads: tells two tokenizers apart.
std::string tokenizer_hash(const std::filesystem::path& checkpoint);

}  // namespace elastikv
