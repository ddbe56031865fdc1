#include "report/report.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/files.h"
#include "report/differences.h"
#include "report/long_tables.h"
#include "report/markdown.h"
#include "report/missing.h"
#include "report/rank_agreement.h"
#include "report/task_table.h"
#include "report/turn_tables.h"

namespace elastikv {
namespace {

/// The long tables, each as a file. A spreadsheet shows no banner, so each row of a fixture says
/// so.
std::vector<ReportFile> table_files(const TableForm& form, const std::vector<ReportRun>& runs,
                                    const std::vector<ReportGroup>& groups) {
  const std::string banner = fixture_banner(runs);
  std::vector<ReportFile> files;
  const auto add = [&](const std::string& name, Table table) {
    if (!banner.empty()) {
      table.header.emplace_back("fixture");
      for (auto& row : table.rows) row.push_back(banner);
    }
    files.push_back({name, form.table(table)});
  };
  for (const std::string& name : measure_names(groups)) add(name, measure_csv(groups, name));
  const auto has = [&](auto property) {
    return std::any_of(groups.begin(), groups.end(), property);
  };
  if (has([](const ReportGroup& group) { return !group.measures.empty(); })) {
    add("differences", differences_csv(groups));
    add("pairs", pairs_csv(groups));
  }
  if (has([](const ReportGroup& group) { return !group.categories.empty(); })) {
    add("categories", categories_csv(groups));
  }
  if (has([](const ReportGroup& group) { return !group.turns.empty(); })) {
    add("turns", turns_csv(groups));
    add("turn-differences", turn_differences_csv(groups));
  }
  if (!task_tables(groups).empty()) add("tasks", tasks_csv(groups));
  Table agreement = rank_agreement_csv(groups);
  if (!agreement.rows.empty()) add("rank-agreement", std::move(agreement));
  add("cells", cells_csv(groups));
  add("measures", measures_csv(groups));
  add("speed", speed_table(groups));
  return files;
}

}  // namespace

const TableForms& report_forms() {
  static const TableForms forms = forms_with(&TableForm::report);
  return forms;
}

TableForms parse_report_forms(const std::string& text) {
  std::set<const TableForm*> asked;
  std::istringstream stream(text);
  for (std::string name; std::getline(stream, name, ',');)
    asked.insert(&find_form(report_forms(), name, "report"));
  if (asked.empty()) {
    fail("no report format is given; known: {}", fmt::join(form_names(report_forms()), ", "));
  }
  TableForms forms;
  for (const TableForm* form : report_forms()) {
    if (asked.contains(form)) forms.push_back(form);
  }
  return forms;
}

Report make_report(const std::vector<ReportRun>& runs, const TableForms& forms) {
  const std::vector<ReportGroup> groups = join_runs(runs);
  Report report;
  report.summary = summary_markdown(runs, groups);
  report.complete = std::all_of(groups.begin(), groups.end(),
                                [](const ReportGroup& group) { return group.summary.complete(); });
  for (const TableForm* form : forms) {
    std::vector<ReportFile> files =
        form->report != nullptr ? form->report(runs, groups) : table_files(*form, runs, groups);
    for (ReportFile& file : files)
      report.files.push_back({file.name + form->extension, std::move(file.text)});
  }
  return report;
}

Report make_report(StoredSweep sweep, const TableForms& forms) {
  std::vector<ReportRun> runs;
  std::string name = sweep.header.name;
  runs.push_back({std::move(name), std::move(sweep)});
  return make_report(runs, forms);
}

Report write_report(const std::filesystem::path& folder, const TableForms& forms) {
  return write_report(std::vector{folder}, folder, forms);
}

Report write_report(const std::vector<std::filesystem::path>& folders,
                    const std::filesystem::path& output, const TableForms& forms) {
  Report report = make_report(read_runs(folders), forms);
  std::error_code error;
  std::filesystem::create_directories(output, error);
  if (error) fail("{}: cannot be made: {}", output.string(), error.message());
  for (const ReportFile& file : report.files) write_file_atomically(output / file.name, file.text);
  return report;
}

}  // namespace elastikv
