#include "sweep/torch_model.h"

#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "base/device.h"
#include "base/error.h"
#include "models/registry.h"
#include "runtime/loading.h"
#include "runtime/prompt_split.h"
#include "strategies/strategy.h"
#include "sweep/choices.h"
#include "sweep/conversation_run.h"
#include "sweep/plan.h"

namespace elastikv {

SharedContext::SharedContext() : conversation_(std::make_unique<ConversationCells>()) {}
SharedContext::~SharedContext() = default;

const EncodedImages* SharedContext::images(const std::vector<ImageFile>& files) const {
  return images_ && files_ == files ? &*images_ : nullptr;
}

void SharedContext::put(const std::vector<ImageFile>& files, const EncodedImages& images) {
  forget();
  files_ = files;
  images_ = images;
  images_->seconds = {};
}

const EncodedPrompt* SharedContext::prompt(const std::vector<int64_t>& ids) const {
  return prompt_ && ids_ == ids ? &*prompt_ : nullptr;
}

const EncodedPrompt& SharedContext::put(std::vector<int64_t> ids, EncodedPrompt prompt) {
  ids_ = std::move(ids);
  prompt_.emplace(std::move(prompt));
  ++number_;
  return *prompt_;
}

const PromptBeginning* SharedContext::beginning(const std::vector<int64_t>& ids) const {
  return beginning_ && beginning_ids_ == ids ? &*beginning_ : nullptr;
}

void SharedContext::put(std::vector<int64_t> ids, PromptBeginning beginning) {
  beginning_ids_ = std::move(ids);
  beginning_.emplace(std::move(beginning));
}

void SharedContext::forget() {
  images_.reset();
  prompt_.reset();
  beginning_.reset();
}

TorchModel::TorchModel(const ModelChoice& choice, const EvaluationSettings& settings,
                       RunWatch watch, const EngineOptions& options)
    : settings_(settings),
      watch_(std::move(watch)),
      device_(parse_device(choice.device)),
      reader_(make_reader(choice)),
      threads_(device_.is_cpu() ? count_parameters(choice.path)
                                : std::numeric_limits<int64_t>::max()),
      model_(open_model(choice.path, device_, parse_dtype(choice.dtype))),
      graphs_(options.graphs ? DecodeGraphs::on(device_) : nullptr) {}

void TorchModel::forget_graphs() {
  if (graphs_) graphs_ = DecodeGraphs::on(device_);
}

void TorchModel::throw_if_stopped() const {
  if (watch_.should_stop && watch_.should_stop()) throw Interrupted();
}

void TorchModel::at(const PhaseProgress& progress) const {
  throw_if_stopped();
  if (watch_.on_phase) watch_.on_phase(progress);
}

Prefills TorchModel::encode(const Sample& sample, const TokenizedPrompt& prompt,
                            std::span<const Cell> cells, bool column_sums,
                            SharedContext* shared) const {
  const EncodedImages* known = shared != nullptr ? shared->images(sample.images) : nullptr;
  const EncodedImages images =
      known != nullptr ? *known : encode_images(*model_, reader_, sample.images);
  if (shared != nullptr && known == nullptr) shared->put(sample.images, images);
  const uint64_t seed = seed_of(settings_.seed, sample);
  std::vector<int64_t> before;  // the ids before the question, where their prefill is shared
  if (shared != nullptr && settings_.sharing == ContextSharing::kAll) {
    before = first_tokens(prompt,
                          compressed_tokens(reader_, sample, prompt, CompressAt::kBeforeQuestion))
                 .ids;
  }
  std::vector<Prefill> prefills;
  for (const CompressAt moment : moments_of(cells)) {
    StatisticsRequest request;
    for (const Cell& cell : cells) {
      if (cell.at() == moment) request = request | strategy_of(cell.strategy).needs();
    }
    if (column_sums && prefills.empty()) request.prefill.column_sums = true;
    const int64_t tokens = compressed_tokens(reader_, sample, prompt, moment);
    const TokenizedPrompt part = first_tokens(prompt, tokens);
    const auto prefill_from = [&](const SharedBeginning& from) {
      return prefill_prompt(
          *model_, reader_, part, images, request, seed,
          [&](int64_t layer, int64_t layers) {
            at({"prefill", "layer", layer, layers, /*rows=*/0});
          },
          from);
    };
    // What stands before the question may be there already, or is kept for others.
    const auto prefill = [&] {
      if (before.empty() || std::ssize(before) >= tokens) return prefill_from({});
      if (const PromptBeginning* there = shared->beginning(before))
        return prefill_from({.beginning = there});
      PromptBeginning all;
      EncodedPrompt encoded = prefill_from({.keep = &all});
      all.shorten(std::ssize(before));
      shared->put(before, std::move(all));
      return encoded;
    };
    int64_t context = 0;
    const auto fork_of_shared = [&] {
      const EncodedPrompt* there = shared->prompt(part.ids);
      const bool made = there == nullptr;
      if (made) there = &shared->put(part.ids, prefill());
      context = shared->number();
      EncodedPrompt fork = there->fork(seed);
      if (made) fork.seconds = there->seconds;
      return fork;
    };
    const bool shares = shared != nullptr && moment == CompressAt::kBeforeQuestion;
    EncodedPrompt encoded = shares ? fork_of_shared() : prefill();
    if (prefills.empty()) encoded.seconds.image += images.seconds;
    prefills.push_back({moment, std::move(encoded), ids_behind(prompt, tokens), context});
  }
  return Prefills(std::move(prefills));
}

at::Tensor TorchModel::image_features(const std::vector<ImageFile>& images) const {
  const LanguageModel& language = model_->language();
  const CacheShape shape = language.cache_shape();
  return encode_images(*model_, reader_, images).features.to(shape.device, shape.dtype);
}

Sequence sequence_of(const TorchModel& model, const Prefills& prefills, const Cell& cell) {
  return {model.language(), prefills.of(cell), strategy_of(cell.strategy), make_budget(cell.budget),
          prefills.late(cell)};
}

}  // namespace elastikv
