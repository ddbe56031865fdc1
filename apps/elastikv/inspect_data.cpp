#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/yaml_fields.h"
#include "datasets/contexts.h"
#include "datasets/dataset.h"
#include "examples.h"
#include "image/image.h"
#include "sweep/data_choice.h"
#include "sweep/set_options.h"
#include "sweep/task.h"
#include "text/json_text.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct InspectDataOptions {
  std::string path;
  std::string task;
  std::vector<std::string> set;
  size_t samples = 3;
};

/// The data entry of a sweep that the command line describes.
DataOptions described(const InspectDataOptions& options) {
  YamlFields fields = YamlFields::parse("{}", "the command line")
                          .with("path", nlohmann::json(escape_broken_utf8(options.path)).dump());
  if (!options.task.empty()) fields = fields.with("task", options.task);
  for (const std::string& text : options.set) {
    const auto [key, value] = parse_set_option(text);
    fields = fields.with(key, set_value(key, value));
  }
  std::vector<DataOptions> sets = read_data_choices(fields, {});
  if (sets.size() != 1) fail("--set describes {} data sets; one can be looked at", sets.size());
  // What lacks an answer is shown, too.
  sets.front().needs_answers = false;
  sets.front().on_problem = OnProblem::kRecord;
  return std::move(sets.front());
}

/// A text on its line, with what would break it escaped.
std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                                   nlohmann::json::error_handler_t::replace);
}

std::string quoted(const std::vector<std::string>& texts) {
  std::vector<std::string> all;
  all.reserve(texts.size());
  for (const std::string& text : texts) all.push_back(quoted(text));
  return fmt::format("{}", fmt::join(all, ", "));
}

void show(const char* what, const std::string& text) { fmt::print("  {:<12}{}\n", what, text); }

void show_sample(const Sample& sample) {
  fmt::print("\nsample {}:\n", sample.id);
  if (!sample.problem.empty()) {
    show("problem", sample.problem);
    return;
  }
  for (const ImageFile& image : sample.images) {
    const ImageSize size = check_image(image);
    show("image", fmt::format("{} x {}, {}", size.width, size.height, image.path.string()));
  }
  if (sample.context_length > 0)
    show("context", quoted(sample.question.substr(0, sample.context_length)));
  show("question", quoted(sample.question.substr(sample.context_length)));
  if (!sample.answer_prefix.empty()) show("begins with", quoted(sample.answer_prefix));
  if (!sample.options.empty()) show("options", quoted(sample.options));
  if (!sample.scored_options.empty()) {
    std::vector<std::string> texts;
    for (const ScoredOption& option : sample.scored_options) texts.push_back(option.text);
    show("scored", quoted(texts));
  }
  show("answer", sample.answer.empty() ? "none" : quoted(sample.answer));
  if (!sample.references.empty()) show("accepted", quoted(sample.references));
  if (!sample.votes.empty()) show("votes", quoted(sample.votes));
  if (!sample.categories.empty()) show("categories", quoted(sample.categories));
}

void show_task(const Task& task) {
  fmt::print("task {}: {}\n", task.name, task.summary);
  show("source", task.source);
  show("metrics", fmt::format("{}", fmt::join(task.data.metrics, ", ")));
  if (task.data.max_new_tokens)
    show("new tokens", fmt::format("at most {}", *task.data.max_new_tokens));
  if (!task.data.stop.empty()) show("ends at", quoted(task.data.stop));
  for (const PublishedScore& score : task.published) {
    show("published",
         fmt::format("{} {} ({}; {})", score.model, score.score, score.metric, score.source));
  }
}

/// How many questions ask about the same, where several do.
void show_contexts(const DataSet& set) {
  std::vector<int64_t> questions;  // by context
  for (const size_t number : context_numbers(set.samples)) {
    if (number == questions.size()) questions.push_back(0);
    ++questions[number];
  }
  const int64_t most = *std::max_element(questions.begin(), questions.end());
  if (most < 2) return;
  show("contexts", fmt::format("{}, with up to {} questions each: before_question compresses them "
                               "once",
                               questions.size(), most));
}

int inspect_data(const InspectDataOptions& options) {
  const DataOptions data = described(options);
  if (!options.task.empty()) show_task(read_task(options.task));
  const DataSet set = read_data(
      data, [](const std::filesystem::path& file) { check_image(file); }, /*tokenizer=*/nullptr);
  const auto problems = std::count_if(set.samples.begin(), set.samples.end(),
                                      [](const Sample& s) { return !s.problem.empty(); });
  fmt::print("data {}: format {}, {} samples, {} with a problem\n", set.name, set.format,
             set.samples.size(), problems);
  show_contexts(set);
  for (const std::string& note : set.notes) show("note", note);
  size_t shown = 0;
  for (const Sample& sample : set.samples) {
    if (shown++ == options.samples) break;
    show_sample(sample);
  }
  constexpr std::ptrdiff_t kMostProblems = 10;
  std::ptrdiff_t told = 0;
  for (const Sample& sample : set.samples) {
    if (sample.problem.empty()) continue;
    if (told++ == 0) fmt::print("\nproblems:\n");
    if (told > kMostProblems) {
      fmt::print("  and {} more\n", problems - kMostProblems);
      break;
    }
    fmt::print("  {}\n", sample.problem);
  }
  return 0;
}

}  // namespace

void add_inspect_data_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<InspectDataOptions>();
  CLI::App* verb =
      app.add_subcommand("inspect-data",
                         "Show what a data file holds, and its first samples as a model would be "
                         "asked them; needs no model");
  verb->add_option("path", options->path, "The data file, or its folder")->required();
  verb->add_option("--task", options->task, "The benchmark that it is (elastikv list tasks)");
  verb->add_option("--set", options->set, "A key of a sweep's data entry: split=validation")
      ->take_all()
      ->expected(1);
  verb->add_option("--samples", options->samples, "How many samples are shown")
      ->capture_default_str();
  add_examples(*verb,
               {{"A data set of questions", "datasets/detail-scenes/test/annotations.json"},
                {"Another turn of its conversations",
                 "datasets/detail-scenes/test/annotations.json --set turn=all --samples 1"}});
  verb->callback([options, &chosen] { chosen = [options] { return inspect_data(*options); }; });
}

}  // namespace elastikv
