// What every part of the program gives for fixed input, held against revisions.json: a part that
// gives other results needs another revision (lib/base/revisions.cc), because records and
// signatures are compared by it. Models have no entry: tests/parity holds their results to
// transformers'.
//
// After a revision was raised, or for a new part: ELASTIKV_UPDATE_REVISIONS=1 golden_test
// --gtest_filter='Revisions.*' writes the file anew. It refuses a part whose results changed under
// the same revision.
#include "base/revisions.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <ATen/ops/argsort.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "datasets/dataset.h"
#include "image/image.h"
#include "metrics/agreement.h"
#include "metrics/metric_set.h"
#include "metrics/text_metrics.h"
#include "models/registry.h"
#include "strategies/components.h"
#include "strategies/parameters.h"
#include "strategies/registry.h"
#include "support/paths.h"
#include "text/prompt_writer.h"
#include "text/tokenizer.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const fs::path kTests = source_path("tests");
const fs::path kGolden = kTests / "golden/revisions.json";

/// What a part gives: whole numbers and texts exactly, as a digest, and some floating-point numbers
/// that may differ in their last digits from processor to processor.
struct Results {
  std::string exact;
  std::vector<double> numbers;

  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    exact += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
};
using AllResults = std::map<std::string, Results>;

/// The preset of a strategy in which only one component is not the plainest there is.
YamlFields preset_with(const std::string& role, const std::string& component) {
  std::map<std::string, std::string> parts{
      {"importance", "{kind: attention, granularity: layer, reduce: sum}"},
      {"allocation", "uniform"},
      {"selection", "{kind: top, sinks: 1, recent: 4}"},
      {"compaction", "evict"},
      {"generation", "none"},
      {"positions", "original"}};
  parts[role] = component;
  if (role == "heads") parts["importance"] = "{kind: attention, granularity: kv_head, reduce: sum}";
  if (component == "h2o_released")
    parts["importance"] = "{kind: attention, granularity: model, reduce: sum}";
  std::string text = "summary: s\ncitation: c\n";
  for (const auto& [name, value] : parts) text += name + ": " + value + "\n";
  return YamlFields::parse(text, "revisions_test");
}

/// A component as a preset writes it.
std::string component_text(const std::string& kind) {
  static const std::map<std::string, std::string> with_parameters{
      {"value_weighted", "{kind: value_weighted, base: attention}"},
      {"redundancy", "{kind: redundancy, base: attention}"},
      {"whole_layers", "{kind: whole_layers, base: pyramid}"},
      {"recompress", "{kind: recompress, every: 4}"},
      {"stride", "{kind: stride, sinks: 1}"}};
  const auto found = with_parameters.find(kind);
  return found == with_parameters.end() ? kind : found->second;
}

/// What a strategy keeps of a prompt, and after some steps of an answer.
void add_strategy(const Strategy& strategy, Results& results) {
  const PromptStatistics prompt = made_up_prompt(/*tokens=*/96);
  for (const double keep : {0.2, 0.55}) {
    const Budget budget = Budget::fraction(keep);
    const std::vector<LayerPlan> plans = strategy.compress(prompt, budget);
    KVCache cache = made_up_cache(prompt);
    for (size_t layer = 0; layer < plans.size(); ++layer) {
      const LayerPlan& plan = plans[layer];
      for (int64_t group = 0; group < prompt.kv_heads; ++group)
        results.add("{}", kept_slots(plan, group, prompt.prompt_tokens));
      for (const at::Tensor& merges : {plan.source, plan.anchor}) {
        if (!merges.defined()) continue;
        const at::Tensor flat = merges.contiguous();
        const auto* data = flat.const_data_ptr<int64_t>();
        results.add("{}", std::vector<int64_t>(data, data + flat.numel()));
      }
      for (const at::Tensor& weights : {plan.source_weight, plan.anchor_weight, plan.logit_bias}) {
        if (!weights.defined()) continue;
        results.numbers.push_back(weights.sum().item<double>());
        results.numbers.push_back(weights.square().sum().item<double>());
      }
      if (!plan.keeps_everything()) cache.apply(static_cast<int64_t>(layer), plan);
    }
    const auto policy = strategy.begin_generation(prompt, plans, budget);
    std::mt19937 random(7);
    for (int64_t step = 1; step <= 24; ++step)
      decode_step(cache, policy.get(), prompt, prompt.prompt_tokens + step, random);
    for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
      for (int64_t group = 0; group < cache.groups(layer); ++group) {
        std::vector<int64_t> positions = cache.positions(layer, group);
        std::sort(positions.begin(), positions.end());
        results.add("{}", positions);
      }
    }
  }
}

void add_importance(const std::string& kind, Results& results) {
  const YamlFields fields = preset_with("importance", component_text(kind));
  const auto importance = make_importance(Parameters(fields.at("importance")));
  for (const at::Tensor& scores : importance->scores(made_up_prompt(/*tokens=*/96))) {
    const at::Tensor order =
        at::argsort(scores, /*stable=*/true, /*dim=*/-1, /*descending=*/true).contiguous();
    const auto* data = order.const_data_ptr<int64_t>();
    results.add("{}", std::vector<int64_t>(data, data + std::min<int64_t>(order.numel(), 40)));
    results.numbers.push_back(scores.max().item<double>());
    results.numbers.push_back(scores.mean().item<double>());
  }
}

void add_allocation(const std::string& kind, Results& results) {
  const YamlFields fields = preset_with("allocation", component_text(kind));
  const auto allocation = make_allocation(Parameters(fields.at("allocation")));
  for (const int64_t total : {30, 90, 200})
    results.add("{}", allocation->slots_per_layer(made_up_prompt(/*tokens=*/96), total));
}

void add_components(AllResults& all) {
  for (const std::string& part : component_parts()) {
    const std::string role = part.substr(0, part.find('/'));
    const std::string kind = part.substr(part.find('/') + 1);
    Results& results = all[part];
    if (role == "importance") {
      add_importance(kind, results);
    } else if (role == "allocation") {
      add_allocation(kind, results);
    } else {
      add_strategy(*make_strategy(preset_with(role, component_text(kind))), results);
    }
  }
}

void add_readers(AllResults& all) {
  const fs::path data = kTests / "unit/datasets/data";
  const std::map<std::string, std::vector<std::string>> files{
      {"llava", {"llava/detail_1k.json"}},
      {"qa", {"qa/mm-vet.json", "qa/captions_export.jsonl", "qa/coco2014_val_gpt4_qa_30x3.jsonl"}},
      {"mm-vet", {"mm-vet/mm-vet.json"}},
      {"llava-questions", {"llava-questions/llava-mm-vet.jsonl"}},
      {"llava-bench", {"llava-bench/llava-bench-in-the-wild"}},
      {"coco-captions",
       {"coco-captions/annotations/captions_val2014.json",
        "coco-captions/annotations/captions_results.json"}},
      {"vlmevalkit-tsv",
       {"vlmevalkit-tsv/LLaVABench.tsv", "vlmevalkit-tsv/MMBench_DEV_EN.tsv",
        "vlmevalkit-tsv/COCO_VAL.tsv"}},
      {"contexts", {"contexts/scenes.jsonl"}},
      {"turns", {"turns/scbench.jsonl", "turns/mt-bench.jsonl"}},
      {"mm-niah", {"../../sweep/data/tasks/mm-niah/retrieval-text.jsonl"}},
      {"milebench",
       {"../../sweep/data/tasks/milebench-choice/StateChange.json",
        "../../sweep/data/tasks/milebench-open/SlideVQA.json"}},
      {"text", {"text/story.txt"}}};
  const auto add = [](const DataSet& set, Results& results) {
    for (const Sample& sample : set.samples) {
      results.add("{}|{}|{}|{}|{}|{}|{}|{}|{}", sample.id, sample.question, sample.answer,
                  fmt::join(sample.references, ";"), fmt::join(sample.categories, ";"),
                  fmt::join(sample.prompt_ids, " "), fmt::join(sample.answer_ids, " "),
                  sample.images.size(), sample.content);
    }
  };
  for (const std::string& format : data_formats()) {
    if (format == "auto") continue;
    Results& results = all["reader/" + format];
    const auto known = files.find(format);
    if (known == files.end()) continue;  // fails as a part without results
    for (const std::string& file : known->second) {
      DataOptions options;
      options.path = data / file;
      options.needs_answers = false;
      if (format == "coco-captions") options.image_root = data / "coco-captions/val2014";
      options.context_words = 5;
      options.answer_words = 3;
      options.on_problem = OnProblem::kRecord;
      add(read_data(options), results);
    }
  }
  DataOptions windows;
  windows.path = data / "text/story.txt";
  windows.tokens = TokenWindows{.prompt_tokens = 5, .answer_tokens = 3, .stride = {}};
  for (const char* model : {"llama-like", "smollm2-like", "llama-model"}) {
    const auto tokenizer = load_tokenizer(kTests / "unit/text/data" / model);
    add(read_data(windows, {}, tokenizer.get()), all["reader/text"]);
  }
}

void add_prompts(AllResults& all) {
  const std::vector<std::vector<Turn>> conversations{
      {{"user", "What is this?", 0}},
      {{"user", "What is this?", 1}},
      {{"user", " Compare\n<image> with <image>. ", 0}},
      {{"user", "First?", 1}, {"assistant", "Yes.", 0}, {"user", "Second?", 0}},
      {{"user", "Two.", 2}}};
  Results& by_template = all["prompt/chat-template"];
  for (const char* model : {"models/stampvlm"}) {
    for (const ImagePlace place : {ImagePlace::kDefault, ImagePlace::kAfter}) {
      PromptSettings settings;
      settings.place = place;
      const auto writer =
          make_prompt_writer({source_path(model), /*takes_images=*/true, -1, nullptr}, settings);
      for (const std::vector<Turn>& turns : conversations)
        by_template.add("{}", writer->write(turns).text);
    }
  }
  for (const PromptFormat& format : prompt_formats()) {
    Results& results = all["prompt/" + format.name];
    for (const std::vector<Turn>& turns : conversations) {
      for (const ImagePlace place : {ImagePlace::kDefault, ImagePlace::kAfter}) {
        try {
          results.add("{}", format.render(turns, /*answer_follows=*/true, place).text);
        } catch (const Error& error) {
          results.add("refused: {}", error.what());
        }
      }
    }
  }
}

void add_images(AllResults& all) {
  const fs::path families = kTests / "parity/data/families";
  for (const char* family : {"llava", "original_llava", "llava_next_vicuna", "llava_onevision",
                             "idefics3", "smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen_vl_chat"}) {
    const auto processor = read_model_image_processor(families / family);
    const std::string identity = processor->identity();
    Results& results = all["image/" + identity.substr(0, identity.find_first_of(" (:,"))];
    std::vector<fs::path> images;
    for (const auto& entry : fs::directory_iterator(families / "pictures"))
      if (entry.path().extension() == ".png" && fs::file_size(entry.path()) < 300'000)
        images.push_back(entry.path());
    std::sort(images.begin(), images.end());
    for (const fs::path& image : images) {
      try {
        const Image seen = processor->crop(read_image(image));
        results.add(
            "{} {} {}x{} {}", family, image.filename().string(), seen.size.height, seen.size.width,
            content_hash({reinterpret_cast<const char*>(seen.pixels.data()), seen.pixels.size()}));
      } catch (const Error&) {
        results.add("{} {} refused", family, image.filename().string());
      }
    }
  }
}

/// Decoders, by what they make of every variant of their formats.
void add_decoders(AllResults& all) {
  const auto is_read = [](const fs::path& file) {
    try {
      check_image(file);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  for (const char* folder : {"golden/image", "golden/pictures"}) {
    std::vector<fs::path> images;
    for (const auto& entry : fs::directory_iterator(kTests / folder))
      if (is_read(entry.path())) images.push_back(entry.path());
    std::sort(images.begin(), images.end());
    for (const fs::path& file : images) {
      Results& results = all[std::string(image_decoder(file))];
      try {
        const Image image = read_image(file);
        results.add("{} {}", file.filename().string(),
                    content_hash(
                        {reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()}));
      } catch (const Error&) {
        results.add("{} refused", file.filename().string());
      }
    }
  }
}

/// `texts`: pairs of an answer and what a model said, to which a few of each rule's are added.
void add_task_metrics(const std::vector<std::pair<std::string, std::string>>& texts,
                      AllResults& all) {
  for (const std::string& name : task_metric_names()) {
    Results& results = all["metric/" + name];
    const TextMetrics metrics({name});
    std::deque<Question> questions;
    std::deque<std::string> said;
    std::vector<Answered> answered;
    std::vector<double> values;
    const auto judge = [&](const std::string& answer, const std::string& text) {
      const Question& question = questions.emplace_back(
          Question{.answer = answer,
                   .references = {answer, "yes"},
                   .votes = {answer, answer, text, "no"},
                   .options = {"a dog", answer, "yes"},
                   .categories = {answered.size() % 2 == 0 ? "count" : "code_reasoning"},
                   .group = std::to_string(answered.size() / 4)});
      said.push_back(text);
      const TextScore score = metrics.score_answer(question, text).front();
      results.add("{:.9f} {}", score.f, score.defined);
      answered.push_back({said.back(), question});
      values.push_back(score.f);
    };
    for (const auto& [reference, candidate] : texts) judge(reference, candidate);
    constexpr std::array<const char*, 8> kSaid{"B",   "(A)", "The answer is B.", "1,000.", "yes",
                                               "No.", "50%", "a dog or yes"};
    for (const char* answer : {"B", "a dog", "1000", "yes", "no", "0.5"}) {
      for (const char* text : kSaid) judge(answer, text);
    }
    metrics.metrics().front()->over_samples(answered, values);
    results.add("{:.9f}", estimate_mean(values).mean);
  }
}

/// Metrics of likelihoods, by the options that they choose.
void add_likelihood_metrics(AllResults& all) {
  const Question question{
      .answer = "B", .references = {"B"}, .options = {"no", "perhaps", "na\u00efve"}};
  for (const std::string& name : task_metric_names()) {
    const TextMetrics metrics({name});
    const TextMetric& metric = *metrics.metrics().front();
    if (!metric.form().of_likelihood) continue;
    for (int i = 0; i < 27; ++i) {
      ModelOutput output;
      output.options = {{'A', -1.0 - i % 3, 1, 2, 2},
                        {'B', -3.0 - i / 3 % 3, 3, 7, 7},
                        {'C', -2.5 - i / 9, 2, 6, 5}};
      const Score score = metric.score({output, output, {}, question});
      all["metric/" + name].add("{} {}", score[0], score[1]);
    }
  }
}

void add_metrics(AllResults& all) {
  std::ifstream pairs(kTests / "golden/rouge_pairs.jsonl");
  std::vector<std::pair<std::string, std::string>> texts{
      {"", ""}, {"猫 がいる", "猫 がいる"}, {"One. Two.\nThree.", "one two three"}};
  for (std::string line; texts.size() < 150 && std::getline(pairs, line);) {
    const Json json = Json::parse(line);
    texts.emplace_back(json.at("ref").get<std::string>(), json.at("hyp").get<std::string>());
  }
  for (const std::string& name : text_metric_names()) {
    Results& results = all["metric/" + name];
    const TextMetrics metrics({name});
    for (const auto& [reference, candidate] : texts) {
      const TextScore score = metrics.score(reference, candidate).front();
      results.add("{:.9f} {:.9f} {:.9f} {}", score.precision, score.recall, score.f, score.defined);
    }
  }
  add_task_metrics(texts, all);
  add_likelihood_metrics(all);
  std::vector<ModelOutput> outputs(7);
  for (int sample = 0; sample < 7; ++sample) {
    ModelOutput& output = outputs[static_cast<size_t>(sample)];
    std::vector<int64_t> ours;
    std::vector<int64_t> theirs;
    for (int token = 0; token < 3 + sample; ++token) {
      output.nll.push_back(0.25F * static_cast<float>((sample * 5 + token * 3) % 7));
      output.nll_sum += static_cast<double>(output.nll.back());
      ours.push_back(token);
      theirs.push_back((token * sample) % 4 == 3 ? 99 : token);
    }
    output.scored_tokens = std::ssize(output.nll);
    if (sample > 0) output.mean_kl = 0.125 * sample;
    const Agreement one = compare_tokens(ours, theirs);
    all["metric/first_divergence"].add("{}", one.first_divergence);
    all["metric/match_rate"].add("{:.9f}", one.match_rate);
  }
  const Bootstrap bootstrap(/*replicates=*/200, /*seed=*/7);
  std::vector<MeasuredSample> samples;
  for (const ModelOutput& output : outputs) samples.push_back({output, {}});
  MetricChoice choice;
  choice.text.clear();
  const MetricSet set(choice);
  std::map<std::string, Measurement> found;
  for (const auto& metric : set.metrics())
    found[metric->traits().name] = metric->measure(samples, {}, bootstrap);
  const Measurement& ppl = found.at("ppl");
  // Scored tokens, samples; the mean over tokens and that over samples.
  all["metric/ppl"].add("{} {}", static_cast<int64_t>(*ppl.more.at(0)), ppl.samples.size());
  all["metric/ppl"].numbers = {*ppl.value, *ppl.more.at(1)};
  all["interval/bootstrap"].add("95 %");
  all["interval/bootstrap"].numbers = {ppl.interval->low, ppl.interval->high};
  all["metric/mean_kl"].add("{}", found.at("mean_kl").samples.size());
  all["metric/mean_kl"].numbers = {*found.at("mean_kl").value};
}

AllResults all_results() {
  AllResults all;
  add_components(all);
  add_readers(all);
  add_prompts(all);
  add_images(all);
  add_decoders(all);
  add_metrics(all);
  return all;
}

/// Equal but for what processors do with the last bits.
bool same_numbers(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) {
    return std::abs(x - y) <= 1e-4 * std::max(1.0, std::abs(x));
  });
}

bool same_results(const Json& golden, const Results& results) {
  return golden.at("digest") == content_hash(results.exact) &&
         same_numbers(golden.at("numbers").get<std::vector<double>>(), results.numbers);
}

void update(const AllResults& all) {
  const Json before = fs::exists(kGolden) ? Json::parse(read_file(kGolden)) : Json::object();
  Json after = Json::object();
  for (const auto& [part, results] : all) {
    const int64_t revision = revision_of(part);
    if (before.contains(part) && before[part].at("revision") == revision) {
      EXPECT_TRUE(same_results(before[part], results))
          << part << " gives other results, but has the same revision";
      after[part] = before[part];
    } else {
      after[part] = {{"revision", revision},
                     {"digest", content_hash(results.exact)},
                     {"numbers", results.numbers}};
    }
  }
  write_file_atomically(kGolden, after.dump(1) + "\n");
}

TEST(Revisions, ResultsChangeOnlyWithARevision) {
  const AllResults all = all_results();
  for (const auto& [part, results] : all)
    EXPECT_FALSE(results.exact.empty()) << part << " is not tested: give it fixed input here";
  if (std::getenv("ELASTIKV_UPDATE_REVISIONS") != nullptr) return update(all);
  const Json golden = Json::parse(read_file(kGolden));
  for (const auto& [part, entry] : golden.items())
    EXPECT_TRUE(all.contains(part)) << part << " is no part of the program any more";
  for (const auto& [part, results] : all) {
    if (!golden.contains(part)) {
      ADD_FAILURE() << part << " is new: write revisions.json anew (see the top of this file)";
      continue;
    }
    const Json& entry = golden[part];
    if (entry.at("revision") != revision_of(part)) {
      ADD_FAILURE() << part << " has revision " << revision_of(part) << ", revisions.json has "
                    << entry.at("revision") << ": write it anew (see the top of this file)";
      continue;
    }
    EXPECT_TRUE(same_results(entry, results))
        << part << " gives other results than at revision " << entry.at("revision")
        << ": raise it in lib/base/revisions.cc, saying what changed, and write revisions.json "
           "anew";
  }
}

/// The whole chain: a part that is raised changes what a strategy says of itself.
TEST(Revisions, DescriptionsNameTheirParts) {
  const auto strategy = make_strategy("elastic");
  const std::vector<std::string> parts = strategy->parts();
  for (const char* part : {"importance/attention", "selection/top", "compaction/merge_nearest",
                           "generation/fixed_point", "allocation/uniform"})
    EXPECT_NE(std::find(parts.begin(), parts.end(), part), parts.end()) << part;
  const auto nested = make_strategy(preset_with("importance", component_text("value_weighted")));
  const std::vector<std::string> inner = nested->parts();
  EXPECT_NE(std::find(inner.begin(), inner.end(), "importance/attention"), inner.end());
}

}  // namespace
}  // namespace elastikv
