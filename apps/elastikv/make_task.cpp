#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/files.h"
#include "base/strings.h"
#include "datasets/ruler_tasks.h"
#include "examples.h"
#include "text/tokenizer.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

constexpr const char* kNeedle = "needle";
constexpr const char* kRuler = "ruler";

struct MakeTaskOptions {
  std::string kind;
  std::filesystem::path model;
  std::filesystem::path output;
  std::vector<int64_t> lengths{1024, 2048, 4096};
  int64_t rows = 10;
  std::vector<double> depths{0, 25, 50, 75, 100};
  std::vector<std::string> tasks;
  std::filesystem::path text;
  std::filesystem::path squad;
  std::filesystem::path hotpotqa;
  int64_t room = 100;
  uint64_t seed = 42;
};

/// Names of an option that the kind does not read.
void refuse_unread(const MakeTaskOptions& options, const CLI::App& verb) {
  const std::vector<const char*> unread = options.kind == kNeedle
                                              ? std::vector{"--tasks", "--squad", "--hotpotqa"}
                                              : std::vector{"--depths"};
  for (const char* name : unread) {
    if (verb.count(name) > 0)
      fail("{} is for `make-task {}`", name, options.kind == kNeedle ? kRuler : kNeedle);
  }
}

Haystack haystack_of(const std::filesystem::path& text) {
  if (text.empty()) return {};
  const std::string content = read_file(text);
  try {
    return Haystack(content);
  } catch (const Error& error) {
    fail("{}: {}", text.string(), error.what());
  }
}

/// Calls `made` for all rows of one length, in the order in which they are written.
template <typename Made>
void make_rows(const MakeTaskOptions& options, const MadeTarget& target,
               const RulerMaterial& material, const std::vector<std::string>& tasks, Made made) {
  if (options.kind == kNeedle) {
    for (const double depth : options.depths) {
      for (int64_t row = 0; row < options.rows; ++row)
        made(make_needle_row(material.essay, depth, target, options.seed, row));
    }
    return;
  }
  for (const std::string& task : tasks) {
    for (int64_t row = 0; row < options.rows; ++row)
      made(make_ruler_row(task, material, target, options.seed, row));
  }
}

int make_task(const MakeTaskOptions& options, const CLI::App& verb) {
  refuse_unread(options, verb);
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(options.model);
  RulerMaterial material{.essay = haystack_of(options.text)};
  if (!options.squad.empty()) material.squad = read_squad(options.squad);
  if (!options.hotpotqa.empty()) material.hotpotqa = read_hotpotqa(options.hotpotqa);
  const std::vector<std::string> tasks =
      options.tasks.empty() ? ruler_tasks_of(material) : options.tasks;
  std::string lines;
  int64_t count = 0;
  for (const int64_t length : options.lengths) {
    const MadeTarget target{
        .length = length, .room = options.room, .count_tokens = [&](const std::string& text) {
          return static_cast<int64_t>(tokenizer->encode(text).size());
        }};
    make_rows(options, target, material, tasks, [&](const MadeRow& row) {
      lines += row.json() + '\n';
      ++count;
    });
  }
  write_file_atomically(options.output, lines);
  fmt::print("{} rows of {} tokens in {}\n", count, fmt::join(options.lengths, ", "),
             options.output.string());
  if (options.kind == kRuler && options.tasks.empty() && tasks.size() < ruler_task_names().size())
    fmt::print("without the tasks that need --squad (qa_1) or --hotpotqa (qa_2)\n");
  if (material.essay.is_noise())
    fmt::print("texts are RULER's five sentences again and again; --text takes another one\n");
  return 0;
}

}  // namespace

void add_make_task_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<MakeTaskOptions>();
  CLI::App* verb = app.add_subcommand(
      "make-task",
      "Write questions about long texts, for any tokenizer and without a download: a needle in a "
      "haystack by depth and length, or RULER's 13 tasks.");
  verb->add_option("kind", options->kind, "needle or ruler")
      ->required()
      ->check(CLI::IsMember({kNeedle, kRuler}));
  verb->add_option("--model", options->model,
                   "A checkpoint's folder, in whose tokens lengths are counted")
      ->required();
  verb->add_option("--output", options->output, "The file of JSON lines to write")->required();
  verb->add_option("--lengths", options->lengths,
                   "Tokens that prompt and answer take at most, separated by commas")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->capture_default_str();
  verb->add_option("--rows", options->rows, "Rows of each task or depth, for each length")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}))
      ->capture_default_str();
  verb->add_option("--depths", options->depths,
                   "needle: how far in it stands, in percent, separated by commas")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  verb->add_option("--tasks", options->tasks,
                   fmt::format("ruler: {}; without it, all for which there are files",
                               fmt::join(ruler_task_names(), ", ")))
      ->delimiter(',')
      ->check(CLI::IsMember(ruler_task_names()));
  verb->add_option("--text", options->text,
                   "A text to hide things in; without it, RULER's five sentences");
  verb->add_option("--squad", options->squad, "ruler: SQuAD 2.0's JSON, for qa_1");
  verb->add_option("--hotpotqa", options->hotpotqa, "ruler: HotpotQA's JSON, for qa_2");
  verb->add_option("--room", options->room, "Tokens that are left for the chat template")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->capture_default_str();
  verb->add_option("--seed", options->seed, "Seed of all that is drawn")
      ->check(not_negative())
      ->capture_default_str();
  add_examples(*verb, {{"A needle at five depths of a book",
                        "needle --model models/stampvlm --text datasets/alice/alice.txt \\\n"
                        "    --lengths 1024 --rows 2 --output results/needle.jsonl"},
                       {"RULER's tasks that need no files",
                        "ruler --model models/stampvlm --lengths 1024,2048 --rows 1 \\\n"
                        "    --output results/ruler.jsonl"}});
  verb->callback([options, verb, &chosen] {
    chosen = [options, verb] { return make_task(*options, *verb); };
  });
}

}  // namespace elastikv
