#include "report/report.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "examples.h"
#include "verbs.h"

namespace elastikv {
namespace {

struct ReportOptions {
  std::vector<std::string> folders;
  std::string output;
  std::string formats = fmt::format("{}", fmt::join(form_names(report_forms()), ","));
};

int report(const ReportOptions& options) {
  const TableForms forms = parse_report_forms(options.formats);
  if (options.folders.size() > 1 && options.output.empty()) {
    fail("a report of several runs belongs to none of their folders; say where with --output");
  }
  const std::string output = options.output.empty() ? options.folders.front() : options.output;
  const std::vector<std::filesystem::path> folders(options.folders.begin(), options.folders.end());
  const Report tables = write_report(folders, output, forms);
  const auto page = std::find_if(tables.files.begin(), tables.files.end(),
                                 [](const ReportFile& file) { return file.name == "report.md"; });
  const std::string& text = page != tables.files.end() ? page->text : tables.summary;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  std::string names;
  for (const ReportFile& file : tables.files) names += (names.empty() ? "" : ", ") + file.name;
  inform("\nwritten to {}: {}", output, names);
  if (!tables.complete) warn("not everything is complete: some samples are missing or failed");
  return 0;
}

}  // namespace

void add_report_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* verb = app.add_subcommand(
      "report", "Make the tables of sweeps' output folders again, joined, and show them.");
  verb->add_option("folders", options->folders, "Output folders of sweeps; several are joined")
      ->required();
  verb->add_option("--output", options->output,
                   "Where to write; default with one folder: that folder");
  verb->add_option("--formats", options->formats,
                   fmt::format("Of {} (default: all)", listed(form_names(report_forms()))));
  add_examples(*verb, {{"Into the run's own folder", "results/quickstart"},
                       {"Elsewhere, without LaTeX and HTML",
                        "results/quickstart --output results/quickstart-tables --formats md,csv"}});
  verb->callback([options, &chosen] { chosen = [options] { return report(*options); }; });
}

}  // namespace elastikv
