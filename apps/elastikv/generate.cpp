#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/device_stopwatch.h"
#include "base/error.h"
#include "base/log.h"
#include "examples.h"
#include "image/image.h"
#include "models/decode_graphs.h"
#include "models/registry.h"
#include "prompt_options.h"
#include "runtime/generation.h"
#include "runtime/loading.h"
#include "runtime/prompt_encoder.h"
#include "runtime/prompt_split.h"
#include "runtime/sequence.h"
#include "stop_signal.h"
#include "strategies/plugins.h"
#include "strategies/registry.h"
#include "strategy_options.h"
#include "sweep/choices.h"
#include "text/streaming_decoder.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct GenerateOptions {
  std::string model = "models/stampvlm/assembled";
  std::vector<std::string> images;
  std::string prompt;
  std::string prompt_ids;
  PromptOptions prompt_options;
  std::string strategy = "full";
  std::vector<std::string> overrides;
  std::vector<std::string> plugins;
  BudgetOptions budget;
  MomentOptions moment;
  int64_t max_new_tokens = 256;
  std::string device = "cpu";
  std::string dtype = "fp32";
  bool no_graphs = false;
  uint64_t seed = 0;
  bool json = false;
};

std::unique_ptr<Strategy> strategy_of(const GenerateOptions& options) {
  load_plugins(options.plugins);
  if (options.overrides.empty()) return make_strategy(options.strategy);
  try {
    return make_strategy(options.strategy, options.overrides);
  } catch (const Error& error) {
    fail("{} (with --set {})", error.what(), fmt::join(options.overrides, " --set "));
  }
}

/// What reads the prompt: all that a question and images need, or for ids config.json alone.
struct Reading {
  Reading(const GenerateOptions& options, const ModelChoice& model) {
    if (options.prompt_ids.empty()) {
      whole.emplace(make_reader(model));
    } else {
      ids.emplace(model.path);
    }
  }

  TokenizedPrompt prompt(const GenerateOptions& options,
                         const std::vector<ImageSize>& images) const {
    return whole ? whole->tokenize(options.moment.asked(options.prompt).text, images)
                 : prompt_of_ids(options.prompt_ids, summary().vocab_size);
  }
  /// How many of its tokens are compressed.
  int64_t compressed(const GenerateOptions& options, CompressAt at,
                     const std::vector<ImageSize>& images, const TokenizedPrompt& prompt) const {
    return whole ? tokens_before(at, *whole, options.moment.asked(options.prompt), images, prompt,
                                 "the prompt")
                 : tokens_before(at, prompt, "the prompt");
  }
  const ModelSummary& summary() const { return whole ? whole->summary() : ids->summary(); }
  const std::vector<int64_t>& end_tokens() const {
    return whole ? whole->end_tokens() : ids->end_tokens();
  }
  /// Null where ids are answered by ids.
  const Tokenizer* tokenizer() const { return whole ? &whole->tokenizer() : ids->tokenizer(); }

  std::optional<PromptReader> whole;
  std::optional<IdsReader> ids;
};

/// The answer as it comes: its text, or without a tokenizer its ids.
class AnswerWriter {
 public:
  explicit AnswerWriter(const Tokenizer* tokenizer) {
    if (tokenizer != nullptr) decoder_.emplace(*tokenizer, /*skip_special=*/true);
  }
  std::string push(int64_t token) {
    if (decoder_) return decoder_->push(token);
    const bool first = std::exchange(first_, false);
    return (first ? "" : " ") + std::to_string(token);
  }
  std::string flush() { return decoder_ ? decoder_->flush() : ""; }

 private:
  std::optional<StreamingDecoder> decoder_;
  bool first_ = true;
};

int generate(const GenerateOptions& options) {
  // Everything that can be wrong is looked at before the weights.
  const c10::Device device = parse_device(options.device);
  require_available(device);
  const c10::ScalarType dtype = parse_dtype(options.dtype);
  const Budget budget = options.budget.budget();
  const std::unique_ptr<Strategy> strategy = strategy_of(options);
  if (options.max_new_tokens < 1)
    fail("--max-new-tokens is {}, at least 1 is needed", options.max_new_tokens);
  const std::vector<ImageFile> images = options.prompt_options.images(options.images);
  std::vector<ImageSize> sizes;
  sizes.reserve(images.size());
  for (const ImageFile& image : images) sizes.push_back(check_image(image));
  require_loadable(options.model);
  ModelChoice choice;
  choice.path = options.model;
  options.prompt_options.apply_to(choice);
  const Reading reading(options, choice);
  const TokenizedPrompt prompt = reading.prompt(options, sizes);
  const CompressionMoment moment = options.moment.moment();
  const CompressAt at = effective(moment.at, budget);
  const int64_t compressed = reading.compressed(options, at, sizes, prompt);
  const TokenizedPrompt before = first_tokens(prompt, compressed);
  require_room(prompt, options.max_new_tokens, reading.summary().max_positions, "the prompt");

  const std::unique_ptr<Model> model = open_model(options.model, device, dtype);
  const EncodedPrompt encoded =
      reading.whole
          ? encode_prompt(*model, *reading.whole, before, images, strategy->needs(), options.seed)
          : encode_ids(*model, before.ids, strategy->needs(), options.seed);
  Sequence sequence(model->language(), encoded, *strategy, budget,
                    {ids_behind(prompt, compressed), moment.keeps_question()});
  const std::vector<int64_t> kept = sequence.cache().slots_per_layer();
  const int64_t bytes_prompt = sequence.cache().bytes();
  sequence.reserve(options.max_new_tokens);

  AnswerWriter writer(reading.tokenizer());
  const StopSignal stop;
  GreedyOptions greedy;
  greedy.max_new_tokens = options.max_new_tokens;
  greedy.end_tokens = reading.end_tokens();
  greedy.should_stop = [&] { return stop.requested(); };
  const std::unique_ptr<DecodeGraphs> graphs =
      options.no_graphs ? nullptr : DecodeGraphs::on(device);
  greedy.graphs = graphs.get();
  if (!options.json) {
    greedy.on_token = [&](size_t, int64_t token) {
      fmt::print("{}", writer.push(token));
      std::fflush(stdout);
    };
  }
  DeviceStopwatch watch(device);
  const std::vector<GreedyText> texts = generate_greedy(model->language(), {&sequence}, greedy);
  const double decode_seconds = watch.lap().value();
  const GreedyText& text = texts[0];
  if (!text.failure.empty()) {
    if (!options.json && !text.token_ids.empty()) fmt::print("{}\n", writer.flush());
    std::fflush(stdout);
    fail("after {} new tokens: {}", text.token_ids.size(), text.failure);
  }
  // The first token came from the prompt; every later one took a decode step.
  const int64_t prompt_tokens = std::ssize(prompt.ids);
  const auto steps = static_cast<double>(sequence.tokens_seen() - prompt_tokens);
  const double tokens_per_second = decode_seconds > 0 ? steps / decode_seconds : 0;
  const int64_t bytes_end = sequence.cache().bytes();
  const CacheShape shape = sequence.cache().shape();
  const int64_t bytes_full = sequence.tokens_seen() * shape.layers * shape.kv_heads *
                             shape.head_dim * 2 *
                             static_cast<int64_t>(c10::elementSize(shape.dtype));

  if (options.json) {
    nlohmann::ordered_json out;
    out["text"] = nullptr;
    if (reading.tokenizer() != nullptr)
      out["text"] = reading.tokenizer()->decode(text.token_ids, /*skip_special=*/true);
    out["token_ids"] = text.token_ids;
    out["prompt_token_ids"] = prompt.ids;
    out["finished"] = text.finished;
    out["strategy"] = options.strategy;
    out["strategy_description"] = strategy->description();
    out["budget"] = budget.name();
    if (at != CompressAt::kPromptEnd) out["compress_at"] = moment.name();
    out["cache"] = {{"prompt_tokens", prompt_tokens},
                    {"image_tokens", prompt.placeholders.size()},
                    {"kept_tokens_per_layer", kept},
                    {"tokens_per_layer_at_end", sequence.cache().slots_per_layer()},
                    {"bytes_after_prompt", bytes_prompt},
                    {"bytes_at_end", bytes_end},
                    {"bytes_at_end_full_cache", bytes_full}};
    if (at != CompressAt::kPromptEnd) out["cache"]["compressed_tokens"] = compressed;
    out["seconds"] = {{"image", encoded.seconds.image.value()},
                      {"prefill", encoded.seconds.prefill.value()},
                      {"statistics", encoded.seconds.statistics.value()},
                      {"compression", sequence.compression_seconds().value()},
                      {"decode", decode_seconds}};
    out["tokens_per_second"] = tokens_per_second;
    fmt::print("{}\n", out.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                                nlohmann::json::error_handler_t::replace));
  } else {
    fmt::print("{}\n", writer.flush());
    if (reading.tokenizer() == nullptr)
      inform("\ntoken ids instead of a text: {}", reading.ids->no_tokenizer());
    fmt::print(stderr,
               "\n{} prompt tokens ({} of the image), {} new; {:.1f} tokens/s; cache {:.2f} MiB "
               "of {:.2f} MiB ({}, {}{})\n",
               prompt_tokens, prompt.placeholders.size(), text.token_ids.size(), tokens_per_second,
               static_cast<double>(bytes_end) / (1 << 20),
               static_cast<double>(bytes_full) / (1 << 20), options.strategy, budget.name(),
               at == CompressAt::kPromptEnd
                   ? ""
                   : fmt::format(", {} tokens compressed: {}", compressed, moment.name()));
  }
  return stop.requested() ? 130 : 0;
}

}  // namespace

void add_generate_verb(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* verb = app.add_subcommand(
      "generate", "Answer one prompt, with an image or without, under any strategy");
  verb->add_option("--model", options->model, "Checkpoint folder (Hugging Face layout)")
      ->capture_default_str();
  verb->add_option("--image", options->images,
                   "Image (PNG, JPEG, WebP, BMP); may be repeated where the model takes several")
      ->allow_extra_args(false)
      ->check(not_empty());
  CLI::Option* prompt = verb->add_option("--prompt,-p", options->prompt,
                                         "The question; <image> in it places the image");
  CLI::Option* ids = verb->add_option("--prompt-ids", options->prompt_ids,
                                      "Token ids 1,2,3 instead of a prompt and image")
                         ->check(not_empty());
  prompt->excludes(ids);
  add_prompt_options(*verb, options->prompt_options);
  verb->add_option("--strategy,-s", options->strategy,
                   "Preset of configs/strategies, or the path of one")
      ->capture_default_str();
  add_plugin_option(*verb, options->plugins);
  verb->add_option("--set", options->overrides, "component.parameter=value on top of the preset")
      ->take_all();
  add_budget_options(*verb, options->budget);
  add_moment_options(*verb, options->moment);
  verb->add_option("--question-entries", options->moment.question,
                   "Under --compress-at before_question: keep the question's entries on top of the "
                   "budget, or leave them to the generation policy")
      ->check(CLI::IsMember(
          std::vector<std::string>{std::string(question_entries_name(QuestionEntries::kKeep)),
                                   std::string(question_entries_name(QuestionEntries::kPolicy))}))
      ->capture_default_str();
  verb->add_option("--max-new-tokens,-n", options->max_new_tokens, "Longest answer")
      ->capture_default_str();
  verb->add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--dtype", options->dtype, "fp32, bf16 or fp16")->capture_default_str();
  verb->add_flag("--no-graphs", options->no_graphs, kNoGraphs);
  verb->add_option("--seed", options->seed, "Seed of strategies that draw")
      ->check(not_negative())
      ->capture_default_str();
  verb->add_flag("--json", options->json, "Print one JSON object instead of the text");
  add_examples(*verb, {{"One image, a fifth of the cache",
                        "--image datasets/detail-scenes/test/images/test_0000.png \\\n"
                        "    -p \"What is in the picture?\" --strategy elastic --keep 0.2"},
                       {"The image compressed before it is asked about",
                        "--image datasets/detail-scenes/test/images/test_0000.png \\\n"
                        "    -p \"What is in the picture?\" --strategy elastic --keep 0.2 \\\n"
                        "    --compress-at before_question"},
                       {"Without an image, in 32 slots per layer, as JSON",
                        "-p \"Tell me about the sea.\" --strategy streaming-llm \\\n"
                        "    --keep-tokens 32 --max-new-tokens 64 --json"}});
  verb->callback([options, prompt, ids, &chosen] {
    if (prompt->count() == 0 && ids->count() == 0)
      throw CLI::RequiredError("--prompt or --prompt-ids");
    if (ids->count() > 0 && !options->images.empty()) {
      throw CLI::ValidationError("--prompt-ids", "takes no --image: the ids are the whole prompt");
    }
    if (ids->count() > 0 && options->prompt_options.given())
      throw CLI::ValidationError("--prompt-ids", PromptOptions::kNoneWithIds);
    if (ids->count() > 0 && !options->moment.context.empty())
      throw CLI::ValidationError("--prompt-ids",
                                 "takes no --context: the ids are the whole prompt");
    chosen = [options] { return generate(*options); };
  });
}

}  // namespace elastikv
