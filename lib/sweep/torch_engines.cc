#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/device.h"
#include "base/error.h"
#include "base/hash.h"
#include "image/image.h"
#include "models/registry.h"
#include "runtime/loading.h"
#include "runtime/memory.h"
#include "runtime/prompt_encoder.h"
#include "sweep/choices.h"
#include "sweep/engine.h"
#include "sweep/estimate.h"
#include "sweep/torch_evaluator.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"

namespace elastikv {
namespace {

/// What a strategy of the sweep reads.
struct Reader {
  const StrategyChoice* strategy;
  StatisticsRequest request;
  CompressAt at;  // of how much of a prompt
};

/// The strategies among the cells, each once for each moment.
std::vector<Reader> readers_of(std::span<const Cell> cells) {
  std::vector<Reader> readers;
  for (const Cell& cell : cells) {
    // Cells of one strategy follow each other.
    if (!readers.empty() && readers.back().strategy->label == cell.strategy.label &&
        readers.back().at == cell.at())
      continue;
    readers.push_back({&cell.strategy, strategy_of(cell.strategy).needs(), cell.at()});
  }
  return readers;
}

/// Tokens of a prompt that are compressed, by moment.
using CompressedTokens = std::map<CompressAt, int64_t>;

/// Error when a strategy reads what a prompt has not, or not in the part that it compresses.
void require_statistics(const std::vector<Reader>& readers, const TokenizedPrompt& prompt,
                        const CompressedTokens& compressed, const std::string& what) {
  const TokenSpan image = prompt.image_span();
  for (const Reader& reader : readers) {
    const std::string missing =
        missing_for(reader.request, compressed.at(reader.at), image.begin, image.end);
    if (missing.empty()) continue;
    const std::string part = reader.at == CompressAt::kPromptEnd
                                 ? ""
                                 : fmt::format(", compressed at {},", compress_at_name(reader.at));
    fail("{}: strategy '{}' cannot run: {}{} {}", reader.strategy->origin, reader.strategy->label,
         what, part, missing);
  }
}

/// What a sample asks about: the images, and the ids of its prompt before the question.
std::string context_of(const Sample& sample, const TokenizedPrompt& prompt, int64_t tokens) {
  std::string text;
  for (const ImageFile& image : sample.images) {
    const std::string path = image.path.string();
    text += fmt::format("{}:{}:{}", image_orientation_name(image.orientation), path.size(), path);
  }
  for (int64_t i = 0; i < tokens; ++i)
    text += fmt::format(" {}", prompt.ids[static_cast<size_t>(i)]);
  return content_hash(text);
}

/// Tokens of a prompt before its question; 0 where nobody knows where that begins.
int64_t tokens_before_question(const PromptReader& reader, const Sample& sample,
                               const TokenizedPrompt& prompt) {
  try {
    return compressed_tokens(reader, sample, prompt, CompressAt::kBeforeQuestion);
  } catch (const Error&) {
    return 0;
  }
}

/// Patches that the vision tower computes of a sample's images. Reads their headers.
int64_t patches_of(const PromptReader& reader, const Sample& sample) {
  int64_t patches = 0;
  for (const ImageFile& image : sample.images) {
    patches +=
        reader.image_prompt()->patches(reader.image_processor()->geometry(check_image(image)));
  }
  return patches;
}

/// Why a sweep does not fit into what the device has left, though its cells run one after the
/// other; empty: it does.
std::string lack_of_memory(const CellGroup& group, EvaluationSettings settings,
                           std::span<const SampleSize> sizes) {
  const c10::Device device = parse_device(group.model.device);
  settings.cells_together = false;
  const c10::ScalarType dtype = parse_dtype(group.model.dtype);
  const int64_t available = memory_left(device);
  const ModelSize model{summarize_model(group.model.path).decoder,
                        count_parameters(group.model.path),
                        held_dtype(group.model.path, device, dtype)};
  const GroupEstimate need = estimate(group, settings, model, sizes);
  const std::string problem = refusal(need.memory, available);
  if (problem.empty()) return "";
  return fmt::format("{}: {} in {} on {} with prompts of up to {} tokens {}", group.model.origin,
                     group.model.path.string(), group.model.dtype, group.model.device,
                     need.longest_prompt, problem);
}

class TorchEngines final : public Engines {
 public:
  explicit TorchEngines(const EngineOptions& options) : options_(options) {}

  void check(const ModelChoice& model, std::span<const Cell> cells,
             const EvaluationSettings& settings) const override {
    require_available(parse_device(model.device));
    parse_dtype(model.dtype);
    for (const Cell& cell : cells) {
      strategy_of(cell.strategy);
      make_budget(cell.budget);
    }
    require_loadable(model.path);
    const PromptReader reader = make_reader(model);
    if (settings.score_end) reader.answer_end();  // there has to be one
  }

  SampleCheck check_samples(const ModelChoice& model, std::span<const Cell> cells,
                            std::span<const Sample> samples,
                            const EvaluationSettings& settings) const override {
    const PromptReader reader = make_reader(model);
    const std::vector<Reader> readers = readers_of(cells);
    const std::vector<CompressAt> moments = moments_of(cells);
    CellGroup group;
    group.model = model;
    group.cells.assign(cells.begin(), cells.end());
    const bool at_question = moments.back() == CompressAt::kBeforeQuestion;
    const bool asks = settings.sharing == ContextSharing::kAll ||
                      (settings.sharing == ContextSharing::kExact && at_question);
    const bool goes_on = settings.sharing != ContextSharing::kNone &&
                         std::any_of(samples.begin(), samples.end(),
                                     [](const Sample& sample) { return sample.turn > 0; });
    const bool shares = settings.cells_together && (asks || goes_on);
    std::set<std::string> known;  // contexts
    SampleCheck check;
    for (const Sample& sample : samples) {
      check.problems.emplace_back();
      if (shares) check.contexts.emplace_back();
      if (!sample.problem.empty()) continue;
      try {
        const ConversationTokens conversation = conversation_of(reader, sample);
        const TokenizedPrompt& prompt = conversation.whole;
        const Sample first = first_turn(sample);
        const std::string what =
            fmt::format("{}: the prompt of sample '{}'", sample.source.string(), sample.id);
        const size_t answer_tokens = answer_of(reader, sample, settings).size();
        const EvaluationSettings own = settings_of(settings, sample);
        SampleSize size{std::ssize(prompt.ids), static_cast<int64_t>(answer_tokens),
                        patches_of(reader, sample), sample.max_new_tokens};
        for (const std::vector<int64_t>& option : options_of(reader, sample))
          size.option_tokens.push_back(std::ssize(option));
        // What a cell itself writes is at least nothing.
        const int64_t unknown = sample.history == HistoryAnswers::kOwn
                                    ? std::ssize(prompt.ids) - conversation.asked_tokens()
                                    : 0;
        reader.require_room(prompt, new_tokens(own, size) - unknown, what);
        CompressedTokens compressed;
        for (const CompressAt at : moments)
          compressed[at] = compressed_tokens(reader, first, conversation.first, at);
        require_statistics(readers, conversation.first, compressed, what);
        size.late_tokens = std::ssize(prompt.ids) - compressed.at(moments.back());
        if (shares && sample.turn > 0) {
          check.contexts.back() = content_hash("conversation " + sample.conversation);
          const bool is_first = known.insert(check.contexts.back()).second;
          if (!is_first && !conversation.later.empty())
            size.shared_tokens =
                std::ssize(prompt.ids) - std::ssize(conversation.later.back().question.ids);
        } else if (shares && asks) {
          const int64_t tokens = at_question ? compressed.at(moments.back())
                                             : tokens_before_question(reader, sample, prompt);
          if (tokens > 0) check.contexts.back() = context_of(sample, prompt, tokens);
          const int64_t prefills =
              settings.sharing == ContextSharing::kAll ? std::ssize(moments) : 1;
          if (tokens > 0 && !known.insert(check.contexts.back()).second)
            size.shared_tokens = tokens * prefills;
        }
        check.sizes.push_back(std::move(size));
      } catch (const Error& error) {
        check.problems.back() = error.what();
      }
    }
    if (!check.sizes.empty()) check.memory = lack_of_memory(group, settings, check.sizes);
    return check;
  }

  std::unique_ptr<Tokenizer> tokenizer(const ModelChoice& model) const override {
    return load_tokenizer(model.path);
  }

  void check_image(const std::filesystem::path& file) const override {
    elastikv::check_image(file);
  }

  EngineIdentity identity(const ModelChoice& model) const override {
    EngineIdentity identity;
    std::string& hash = weights_hashes_[model.path.string()];
    if (hash.empty()) hash = open_weights(model.path).content_hash();
    identity.weights = hash;
    identity.tokenizer = tokenizer_hash(model.path);
    const PromptReader reader = make_reader(model);
    if (reader.image_processor() != nullptr)
      identity.image_processing = reader.image_processor()->identity();
    identity.prompt_format =
        reader.writer().write({{"user", "{question}", reader.image_processor() ? 1 : 0}}).text;
    identity.prompt_signature = reader.writer().signature();
    return identity;
  }

  std::string strategy_text(const StrategyChoice& strategy) const override {
    std::string text = strategy_of(strategy).description();
    const CompressionMoment& moment = strategy.moment;
    // Earlier records were all compressed at the prompt's end, and their keys stay what they are.
    if (moment.at != CompressAt::kPromptEnd) text += fmt::format(" compress_at={}", moment.name());
    return text;
  }

  std::vector<std::string> parts(const ModelChoice& model,
                                 std::span<const Cell> cells) const override {
    const PromptReader reader = make_reader(model);
    std::vector<std::string> parts{"model/" + reader.summary().architecture,
                                   "prompt/" + reader.writer().name()};
    if (reader.image_processor() != nullptr) {
      const std::string identity = reader.image_processor()->identity();
      parts.push_back("image/" + identity.substr(0, identity.find_first_of(" (:,")));
    }
    for (const Cell& cell : cells) {
      const std::vector<std::string> components = strategy_of(cell.strategy).parts();
      parts.insert(parts.end(), components.begin(), components.end());
    }
    return parts;
  }

  std::unique_ptr<SampleEvaluator> open(const ModelChoice& model,
                                        const EvaluationSettings& settings,
                                        RunWatch watch) const override {
    return open_torch_evaluator(model, settings, std::move(watch), options_);
  }

 private:
  EngineOptions options_;
  mutable std::map<std::string, std::string> weights_hashes_;  // by folder
};

}  // namespace

std::unique_ptr<Engines> torch_engines(const EngineOptions& options) {
  return std::make_unique<TorchEngines>(options);
}

}  // namespace elastikv
