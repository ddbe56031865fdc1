#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include <c10/core/Device.h>

#include "datasets/sample.h"
#include "image/image.h"
#include "models/decode_graphs.h"
#include "models/model.h"
#include "runtime/device_health.h"
#include "runtime/memory.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"
#include "runtime/threads.h"
#include "sweep/engine.h"
#include "sweep/prefills.h"

namespace elastikv {

class ConversationCells;

/// What samples share that ask about one context: the images and the prefill of what stands before
/// their questions. All run in the same cells, so that the statistics of one prefill serve all.
class SharedContext final {
 public:
  SharedContext();
  ~SharedContext();
  SharedContext(const SharedContext&) = delete;
  SharedContext& operator=(const SharedContext&) = delete;

  /// The images, where they are those of the last ones.
  const EncodedImages* images(const std::vector<ImageFile>& files) const;
  /// Takes note of images that were just encoded.
  void put(const std::vector<ImageFile>& files, const EncodedImages& images);
  /// The prompt of these ids behind the images at hand, where it is the last one.
  const EncodedPrompt* prompt(const std::vector<int64_t>& ids) const;
  const EncodedPrompt& put(std::vector<int64_t> ids, EncodedPrompt prompt);
  /// What was computed of a longer prompt's first tokens, where they are these; null otherwise.
  const PromptBeginning* beginning(const std::vector<int64_t>& ids) const;
  void put(std::vector<int64_t> ids, PromptBeginning beginning);
  /// Of the prompt at hand: another one for every prompt; above 0.
  int64_t number() const { return number_; }
  void forget();
  /// Where the cells of the conversation at hand stand; null once memory did not suffice for that.
  ConversationCells* conversation() { return conversation_.get(); }
  void forget_conversation() { conversation_.reset(); }

 private:
  std::vector<ImageFile> files_;
  std::optional<EncodedImages> images_;
  std::vector<int64_t> ids_;
  std::optional<EncodedPrompt> prompt_;
  std::vector<int64_t> beginning_ids_;
  std::optional<PromptBeginning> beginning_;
  int64_t number_ = 0;
  std::unique_ptr<ConversationCells> conversation_;
};

/// A model with what turns samples into its prompts.
class TorchModel final {
 public:
  TorchModel(const ModelChoice& choice, const EvaluationSettings& settings, RunWatch watch,
             const EngineOptions& options);

  const EvaluationSettings& settings() const { return settings_; }
  void throw_if_stopped() const;
  /// Tells who watches where the work is, unless it was asked to stop.
  void at(const PhaseProgress& progress) const;
  c10::Device device() const { return device_; }
  const PromptReader& reader() const { return reader_; }
  const LanguageModel& language() const { return model_->language(); }
  /// Of its decode steps; null where they run by themselves.
  DecodeGraphs* graphs() const { return graphs_.get(); }
  /// They hold memory.
  void forget_graphs();

  /// The prompt after a prefill for each moment of compression, with the statistics that the cells
  /// need; column sums, if asked for, of the first. `shared`: where what other samples share is
  /// looked for and kept; null: nowhere. Times are of what was computed.
  Prefills encode(const Sample& sample, const TokenizedPrompt& prompt, std::span<const Cell> cells,
                  bool column_sums, SharedContext* shared) const;

  /// What stands in the place of these images' tokens, in the decoder's numbers.
  at::Tensor image_features(const std::vector<ImageFile>& images) const;

  /// Tells the failures of the device from those of a sample.
  template <typename Work>
  std::invoke_result_t<Work> on_device(Work work) const {
    try {
      return work();
    } catch (const Interrupted&) {
      throw;
    } catch (const OutOfMemory&) {
      throw;
    } catch (const std::exception& error) {
      if (is_out_of_memory(error)) throw OutOfMemory(out_of_memory_text(error));
      if (is_device_lost(error, device_)) throw DeviceLost(error.what());
      throw;
    }
  }

 private:
  EvaluationSettings settings_;
  RunWatch watch_;
  c10::Device device_;
  PromptReader reader_;
  ModelThreads threads_;  // beside a GPU, all
  std::unique_ptr<Model> model_;
  std::unique_ptr<DecodeGraphs> graphs_;
};

/// A cell's sequence, compressed.
Sequence sequence_of(const TorchModel& model, const Prefills& prefills, const Cell& cell);

}  // namespace elastikv
