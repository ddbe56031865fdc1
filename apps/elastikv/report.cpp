#include "report/report.h"

#include <cstdio>
#include <memory>
#include <string>

#include "base/log.h"
#include "verbs.h"

namespace elastikv {
namespace {

int report(const std::string& folder) {
  const Report tables = write_report(folder);
  const std::string& text = tables.files.front().text;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  std::string names;
  for (const ReportFile& file : tables.files) names += (names.empty() ? "" : ", ") + file.name;
  inform("\nwritten to {}: {}", folder, names);
  if (!tables.complete) warn("the sweep is not complete: some samples are missing or failed");
  return 0;
}

}  // namespace

void add_report_verb(CLI::App& app, Verb& chosen) {
  const auto folder = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand(
      "report", "Make the tables of a sweep's output folder again and show them.");
  verb->add_option("folder", *folder, "The sweep's output folder")->required();
  verb->callback([folder, &chosen] { chosen = [folder] { return report(*folder); }; });
}

}  // namespace elastikv
