#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/App.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/strings.h"
#include "examples.h"
#include "sweep/predictions.h"
#include "usage_error.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct ExportOptions {
  std::string folder;
  CellSelection selection;
  std::string form = "jsonl";
  std::string output;
  bool allow_missing = false;

  /// Of one cell: --output is a file.
  bool one_cell() const { return !selection.id.empty() || !selection.strategy.empty(); }
};

/// The first few of a list.
std::string some_of(const std::vector<std::string>& texts) {
  constexpr size_t kShown = 3;
  const std::vector<std::string> first(
      texts.begin(), texts.begin() + static_cast<ptrdiff_t>(std::min(kShown, texts.size())));
  return fmt::format(
      "{}{}", fmt::join(first, ", "),
      texts.size() > kShown ? fmt::format(" and {} more", texts.size() - kShown) : "");
}

/// Refuses what is not complete, or says what is left out.
void look_for_missing(const std::string& folder, const PredictionFile& file, bool allowed) {
  if (file.missing.empty()) return;
  if (!allowed) {
    fail("{}: {} has no text of {} sample{}: {}; --allow-missing leaves {} out", folder, file.cell,
         file.missing.size(), file.missing.size() == 1 ? "" : "s", some_of(file.missing),
         file.missing.size() == 1 ? "it" : "them");
  }
  warn("{}: left out: {}", file.cell, fmt::join(file.missing, ", "));
}

int export_predictions(const ExportOptions& options) {
  const PredictionForm& form = prediction_form(options.form);
  const Predictions predictions(options.folder);
  const std::vector<Cell> cells = predictions.select(options.selection);
  if (options.one_cell() && cells.size() > 1) {
    std::vector<std::string> ids;
    ids.reserve(cells.size());
    for (const Cell& cell : cells) ids.push_back(cell.id);
    fail("{}: {} cells match: {}; name one by --cell, or more of --budget, --model and --data",
         options.folder, cells.size(), some_of(ids));
  }
  // All files are made before the first one is written.
  std::vector<PredictionFile> files;
  for (const Cell& cell : cells) {
    files.push_back(predictions.write(cell, form));
    look_for_missing(options.folder, files.back(), options.allow_missing);
  }
  const std::filesystem::path output = options.output;
  if (options.one_cell()) {
    if (is_folder(output)) {
      fail("--output {}: is a folder; the texts of one cell are one file", options.output);
    }
    write_file_atomically(output, files.front().text);
    inform("{} written to {}", files.front().cell, options.output);
    return 0;
  }
  std::error_code problem;
  std::filesystem::create_directories(output, problem);
  if (problem) fail("--output {}: cannot be made: {}", options.output, problem.message());
  for (const PredictionFile& file : files) write_file_atomically(output / file.name, file.text);
  inform("{} files written to {}", files.size(), options.output);
  return 0;
}

}  // namespace

void add_export_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<ExportOptions>();
  CLI::App* verb = app.add_subcommand(
      "export",
      "Write the texts of a sweep's output folder for other programs: one file for a cell, or one "
      "per cell into a folder.");
  verb->add_option("folder", options->folder, "The sweep's output folder")
      ->required()
      ->check(not_empty());
  verb->add_option("--cell", options->selection.id,
                   "A cell's whole name, such as stampvlm-fp32/detail-scenes/elastic/0.2")
      ->check(not_empty());
  verb->add_option("--strategy", options->selection.strategy, "The one cell of this strategy")
      ->check(not_empty());
  verb->add_option("--budget", options->selection.budget, "Only cells of this budget")
      ->check(not_empty());
  verb->add_option("--model", options->selection.model, "Only cells of this model (with its dtype)")
      ->check(not_empty());
  verb->add_option("--data", options->selection.data, "Only cells of this data set")
      ->check(not_empty());
  std::vector<std::string> forms;
  std::vector<std::string> described;
  for (const PredictionForm& form : prediction_forms()) {
    forms.emplace_back(form.name);
    described.push_back(fmt::format("{} ({})", form.name, form.reader));
  }
  verb->add_option("--form", options->form, listed(described, "or"))
      ->check(CLI::IsMember(forms))
      ->capture_default_str();
  verb->add_option("--output", options->output,
                   "The file, with --cell or --strategy; else the folder for one file per cell")
      ->required()
      ->check(not_empty());
  verb->add_flag("--allow-missing", options->allow_missing,
                 "Leave out samples without a text, and say which");
  add_examples(*verb, {{"One cell, for 'score'",
                        "results/quickstart --cell stampvlm-fp32/detail-scenes/elastic/0.2 \\\n"
                        "    --output results/elastic.jsonl"},
                       {"Every cell as LLaVA's answers",
                        "results/quickstart --form llava --output results/answers"}});
  verb->callback(
      [options, &chosen] { chosen = [options] { return export_predictions(*options); }; });
}

}  // namespace elastikv
