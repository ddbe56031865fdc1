#include "sweep/choices.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "image/image.h"
#include "runtime/prompt_split.h"
#include "strategies/plugins.h"
#include "strategies/registry.h"

namespace elastikv {

namespace {

/// The parameters that differ from the preset, "key=value".
std::vector<std::string> overrides_of(const StrategyChoice& choice) {
  std::vector<std::string> overrides;
  overrides.reserve(choice.overrides.size());
  for (const auto& [key, value] : choice.overrides)
    overrides.push_back(fmt::format("{}={}", key, value));
  return overrides;
}

}  // namespace

std::unique_ptr<Strategy> make_strategy(const StrategyChoice& choice) {
  try {
    return make_strategy(choice.preset, overrides_of(choice));
  } catch (const Error& error) {
    const std::string_view why = error.what();
    // An unknown preset's message names it already.
    if (why.starts_with("strategy '")) fail("{}: {}", choice.origin, why);
    fail("{}: strategy '{}': {}", choice.origin, choice.label, why);
  }
}

const Strategy& strategy_of(const StrategyChoice& choice) {
  using Name = std::tuple<std::filesystem::path, std::string, std::vector<std::string>, std::string,
                          int64_t>;
  static std::mutex mutex;
  static auto& composed = *new std::map<Name, std::unique_ptr<Strategy>>;
  const std::lock_guard<std::mutex> lock(mutex);
  // A process may see a file of its user's change, and other plugins.
  const std::string text = is_preset_path(choice.preset) && path_exists(choice.preset)
                               ? read_file(choice.preset)
                               : std::string();
  Name name{preset_folder(), choice.preset, overrides_of(choice), text, plugins_revision()};
  const auto found = composed.find(name);
  if (found != composed.end()) return *found->second;
  std::unique_ptr<Strategy> strategy = make_strategy(choice);
  return *composed.emplace(std::move(name), std::move(strategy)).first->second;
}

bool draws(const StrategyChoice& choice) {
  static const std::set<std::string, std::less<>> drawing{"importance/random",
                                                          "compaction/merge_values"};
  const std::vector<std::string> parts = strategy_of(choice).parts();
  // What a plugin does with the seed is not known.
  return std::any_of(parts.begin(), parts.end(), [](const std::string& part) {
    return drawing.contains(part) || is_plugin_part(part);
  });
}

StatisticsRequest needs_of(std::span<const Cell> cells) {
  StatisticsRequest needs;
  for (const Cell& cell : cells) needs = needs | strategy_of(cell.strategy).needs();
  return needs;
}

Budget make_budget(const BudgetChoice& choice) {
  if (choice.keep_tokens) return Budget::tokens(*choice.keep_tokens);
  if (!choice.keep) return Budget::unlimited();
  return Budget::fraction(*choice.keep, choice.growth == Growth::kGeneration
                                            ? Budget::Growth::kGeneration
                                            : Budget::Growth::kPrompt);
}

ImageChoice image_choice(const ModelChoice& choice) {
  return {choice.image_aspect_ratio, choice.pixels};
}

PromptReader make_reader(const ModelChoice& choice) {
  return {choice.path, choice.prompt, image_choice(choice)};
}

ConversationTokens conversation_of(const PromptReader& reader, const Sample& sample) {
  if (sample.earlier.empty()) {
    const TokenizedPrompt prompt = prompt_of(reader, sample);
    return {prompt, {}, prompt};
  }
  std::vector<AskedTurn> turns;
  for (const EarlierTurn& turn : sample.earlier)
    turns.push_back({turn.question, turn.images, turn.answer});
  turns.push_back({sample.question, sample.images.size() - sample.earlier_images(), ""});
  const std::string what =
      fmt::format("{}: the prompt of sample '{}'", sample.source.string(), sample.id);
  if (sample.images.size() > sample.earlier.front().images && reader.image_prompt() != nullptr &&
      reader.image_prompt()->has_axes()) {
    fail(
        "{} shows an image in a later turn, which a cache of {} cannot go on with: it rotates "
        "images along several axes",
        what, reader.summary().architecture);
  }
  std::vector<ImageSize> sizes;
  for (const ImageFile& image : sample.images) sizes.push_back(check_image(image));
  ConversationTokens tokens = tokenize_conversation(reader, turns, sizes, what);
  for (const LaterTurn& turn : tokens.later) {
    reader.require_text(turn.answer, fmt::format("{}: an answer that sample '{}' goes on from",
                                                 sample.source.string(), sample.id));
  }
  return tokens;
}

TokenizedPrompt prompt_of(const PromptReader& reader, const Sample& sample) {
  if (!sample.earlier.empty()) return conversation_of(reader, sample).whole;
  if (!sample.has_ids())
    return reader.tokenize(sample.question, sample.images, sample.answer_prefix);
  reader.require_text(sample.prompt_ids, fmt::format("{}: the prompt of sample '{}'",
                                                     sample.source.string(), sample.id));
  return PromptReader::from_ids(sample.prompt_ids);
}

int64_t compressed_tokens(const PromptReader& reader, const Sample& sample,
                          const TokenizedPrompt& prompt, CompressAt at) {
  const std::string what =
      fmt::format("{}: the prompt of sample '{}'", sample.source.string(), sample.id);
  if (sample.has_ids() || at != CompressAt::kBeforeQuestion) return tokens_before(at, prompt, what);
  std::vector<ImageSize> sizes;
  for (const ImageFile& image : sample.images) sizes.push_back(check_image(image));
  return tokens_before(at, reader, {sample.question, sample.context_length}, sizes, prompt, what);
}

std::vector<int64_t> answer_of(const PromptReader& reader, const Sample& sample,
                               const EvaluationSettings& settings) {
  if (!settings.perplexity) return {};
  const std::string what =
      fmt::format("{}: the answer of sample '{}'", sample.source.string(), sample.id);
  if (sample.has_ids()) {
    reader.require_text(sample.answer_ids, what);
    return sample.answer_ids;
  }
  std::vector<int64_t> answer = reader.tokenize_answer(sample.answer, what);
  if (settings.score_end) answer.push_back(reader.answer_end());
  return answer;
}

std::vector<std::vector<int64_t>> options_of(const PromptReader& reader, const Sample& sample) {
  std::vector<std::vector<int64_t>> options;
  for (const ScoredOption& option : sample.scored_options) {
    const std::string what = fmt::format("{}: option {} of sample '{}'", sample.source.string(),
                                         option.letter, sample.id);
    options.push_back(reader.tokenize_answer(option.text, what));
    if (options.back().empty()) fail("{} has no token", what);
  }
  return options;
}

EvaluationSettings settings_of(EvaluationSettings settings, const Sample& sample) {
  if (settings.generate && !sample.scored_options.empty()) {
    settings.generate = false;
    settings.choose = true;
  }
  settings.max_new_tokens = sample.max_new_tokens.value_or(settings.max_new_tokens);
  return settings;
}

uint64_t seed_of(uint64_t sweep_seed, const Sample& sample) {
  return std::stoull(content_hash(fmt::format("{}:{}", sweep_seed, sample.content)).substr(0, 16),
                     nullptr,
                     /*base=*/16);
}

}  // namespace elastikv
