#include "report/report.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/nearest_name.h"
#include "report/differences.h"
#include "report/html.h"
#include "report/latex.h"
#include "report/long_tables.h"
#include "report/markdown.h"
#include "report/missing.h"

namespace elastikv {
namespace {

/// Adds tables as CSV files. A spreadsheet shows no banner, so each row of a fixture says so.
class CsvFiles {
 public:
  CsvFiles(std::string banner, Report& report) : banner_(std::move(banner)), report_(report) {}

  void add(const std::string& name, Table table) {
    if (!banner_.empty()) {
      table.header.emplace_back("fixture");
      for (auto& row : table.rows) row.push_back(banner_);
    }
    report_.files.push_back({name, table.csv()});
  }

 private:
  std::string banner_;
  Report& report_;
};

void add_csv(const std::vector<ReportRun>& runs, const std::vector<ReportGroup>& groups,
             Report& report) {
  CsvFiles files(fixture_banner(runs), report);
  for (const std::string& name : measure_names(groups)) {
    files.add(name + ".csv", measure_csv(groups, name));
  }
  const auto has = [&](auto property) {
    return std::any_of(groups.begin(), groups.end(), property);
  };
  if (has([](const ReportGroup& group) { return !group.measures.empty(); })) {
    files.add("differences.csv", differences_csv(groups));
    files.add("pairs.csv", pairs_csv(groups));
  }
  if (has([](const ReportGroup& group) { return !group.categories.empty(); })) {
    files.add("categories.csv", categories_csv(groups));
  }
  files.add("cells.csv", cells_csv(groups));
  files.add("measures.csv", measures_csv(groups));
  files.add("speed.csv", speed_table(groups));
}

std::string speed_markdown(const std::vector<ReportRun>& runs,
                           const std::vector<ReportGroup>& groups) {
  const std::string banner = fixture_banner(runs);
  return fmt::format(
      "# {}: seconds per sample\n\n{}Means over samples. Image, prefill and statistics "
      "are done once for all cells of a sample; scoring (perplexity) and generation "
      "run all cells as one batch, whose time is given.\n\n{}",
      markdown_text(report_title(runs)),
      banner.empty() ? "" : fmt::format("> **{}**\n\n", markdown_text(banner)),
      speed_table(groups).markdown(/*left_columns=*/4));
}

}  // namespace

ReportFormats parse_report_formats(const std::string& text) {
  static const std::vector<std::string> names{"md", "csv", "latex", "html"};
  ReportFormats formats{false, false, false, false};
  std::istringstream stream(text);
  bool any = false;
  for (std::string name; std::getline(stream, name, ',');) {
    if (name == "md") {
      formats.markdown = true;
    } else if (name == "csv") {
      formats.csv = true;
    } else if (name == "latex") {
      formats.latex = true;
    } else if (name == "html") {
      formats.html = true;
    } else {
      fail("unknown report format '{}'{}", name, suggestion(name, names));
    }
    any = true;
  }
  if (!any) fail("no report format is given; known: md, csv, latex, html");
  return formats;
}

Report make_report(const std::vector<ReportRun>& runs, const ReportFormats& formats) {
  const std::vector<ReportGroup> groups = join_runs(runs);
  Report report;
  report.summary = summary_markdown(runs, groups);
  report.complete = std::all_of(groups.begin(), groups.end(),
                                [](const ReportGroup& group) { return group.summary.complete(); });
  if (formats.markdown) {
    report.files.push_back({"report.md", report_markdown(runs, groups)});
    report.files.push_back({"speed.md", speed_markdown(runs, groups)});
  }
  if (formats.csv) add_csv(runs, groups, report);
  if (formats.latex) {
    for (LatexFile& file : report_latex(runs, groups)) {
      report.files.push_back({std::move(file.name), std::move(file.text)});
    }
  }
  if (formats.html) report.files.push_back({"report.html", report_html(runs, groups)});
  return report;
}

Report make_report(StoredSweep sweep, const ReportFormats& formats) {
  std::vector<ReportRun> runs;
  std::string name = sweep.header.name;
  runs.push_back({std::move(name), std::move(sweep)});
  return make_report(runs, formats);
}

Report write_report(const std::filesystem::path& folder, const ReportFormats& formats) {
  return write_report(std::vector{folder}, folder, formats);
}

Report write_report(const std::vector<std::filesystem::path>& folders,
                    const std::filesystem::path& output, const ReportFormats& formats) {
  Report report = make_report(read_runs(folders), formats);
  std::error_code error;
  std::filesystem::create_directories(output, error);
  if (error) fail("{}: cannot be made: {}", output.string(), error.message());
  for (const ReportFile& file : report.files) write_file_atomically(output / file.name, file.text);
  return report;
}

}  // namespace elastikv
