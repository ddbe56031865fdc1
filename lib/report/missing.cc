#include "report/missing.h"

#include <algorithm>

#include "base/error.h"
#include "report/table.h"

namespace elastikv {
namespace {

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

/// "`a`, `b`: reason; `c`: another".
std::string by_reason(const std::vector<MissingSample>& samples, const Writing& writing) {
  std::vector<std::pair<std::string, std::string>> reasons;
  for (const MissingSample& sample : samples) {
    const auto known = std::find_if(reasons.begin(), reasons.end(),
                                    [&](const auto& one) { return one.first == sample.reason; });
    const std::string id = writing.name(sample.id);
    if (known == reasons.end()) {
      reasons.emplace_back(sample.reason, id);
    } else {
      known->second += fmt::format(", {}", id);
    }
  }
  std::string text;
  for (const auto& [reason, ids] : reasons) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", ids, writing.text(one_line(reason)));
  }
  return text;
}

}  // namespace

std::string sample_count(const GroupSummary& group) {
  const std::string count =
      group.samples == group.planned_samples
          ? fmt::format("{} samples", group.samples)
          : fmt::format("{} of {} samples", group.samples, group.planned_samples);
  if (group.clusters == group.samples) return count;
  return fmt::format("{} in {} cluster{}", count, group.clusters, group.clusters == 1 ? "" : "s");
}

Writing in_markdown() { return {markdown_code, markdown_text}; }

Writing as_it_is() {
  const auto copy = [](std::string_view text) { return std::string(text); };
  return {copy, copy};
}

std::string left_out_text(const GroupSummary& group) {
  std::string text;
  for (const MissingSample& sample : group.left_out) {
    text += fmt::format("{}{} ({})", text.empty() ? "left out in all cells: " : ", ",
                        markdown_code(sample.id), markdown_text(one_line(sample.reason)));
  }
  return text;
}

std::vector<std::string> missing_lines(const GroupSummary& group, const Writing& writing) {
  std::vector<std::string> lines;
  if (!group.left_out.empty()) {
    lines.push_back(fmt::format("Left out in all cells, {} of {} samples: {}",
                                group.left_out.size(), group.planned_samples,
                                by_reason(group.left_out, writing)));
  }
  if (group.pending > 0) {
    lines.push_back(
        fmt::format("Not evaluated yet: {} of {} samples", group.pending, group.planned_samples));
  }
  for (const CellSummary& cell : group.cells) {
    if (cell.failed == 0) continue;
    lines.push_back(fmt::format("{}: {} of {} samples failed{}: {}", writing.text(cell.cell.id),
                                cell.failed, cell.samples,
                                cell.oom > 0 ? fmt::format(" ({} out of memory)", cell.oom) : "",
                                by_reason(cell.failures, writing)));
  }
  return lines;
}

std::string fixture_banner(const std::vector<ReportRun>& runs) {
  for (const ReportRun& run : runs) {
    if (run.sweep.header.provenance.count("fixture") > 0) {
      return "FIXTURE: made-up records, not a measurement";
    }
  }
  return "";
}

}  // namespace elastikv
