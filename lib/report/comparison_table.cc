#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "report/comparison_output.h"

namespace elastikv {

Table comparison_table(const std::vector<TableComparison>& comparisons) {
  Table table;
  table.header = {"table",
                  "published_model",
                  "published_data",
                  "row",
                  "minus",
                  "budget",
                  "batch",
                  "prompt_tokens",
                  "new_tokens",
                  "measure",
                  "run",
                  "model",
                  "data",
                  "strategy",
                  "computes",
                  "status",
                  "ours",
                  "ours_low",
                  "ours_high",
                  "theirs",
                  "theirs_low",
                  "theirs_high",
                  "difference",
                  "ratio",
                  "theirs_within_ours",
                  "samples",
                  "differs",
                  "fixture"};
  for (const TableComparison& comparison : comparisons) {
    const bool bench = comparison.table.bench;
    for (const ComparedPair& pair : comparison.pairs) {
      std::vector<std::string> differs;
      for (const ProtocolPoint& point : pair.protocol) {
        if (point.state == ProtocolPoint::State::kDiffers) differs.push_back(point.name);
      }
      for (const ComparedValue& value : pair.values) {
        const PublishedValue& theirs = value.theirs;
        const auto& interval = value.interval;
        const bool number = theirs.value.has_value();  // else OOM
        const auto within = value.within();
        const char* fits = !within ? "" : *within ? "yes" : "no";
        table.rows.push_back({comparison.table.id,
                              pair.published_model,
                              pair.published_data,
                              theirs.strategy,
                              theirs.minus,
                              theirs.budget_text(),
                              bench ? std::to_string(theirs.batch) : "",
                              bench ? std::to_string(theirs.prompt_tokens) : "",
                              bench ? std::to_string(theirs.new_tokens) : "",
                              theirs.measure,
                              pair.run,
                              pair.model,
                              pair.data,
                              value.strategy,
                              std::string(stands_for_text(value.stands_for)),
                              value.status.empty() ? "ok" : value.status,
                              long_number(value.ours),
                              interval ? long_number(interval->low) : "",
                              interval ? long_number(interval->high) : "",
                              theirs.text,
                              number ? long_number(theirs.range.low) : "",
                              number ? long_number(theirs.range.high) : "",
                              long_number(value.difference()),
                              long_number(value.ratio()),
                              fits,
                              pair.samples,
                              fmt::format("{}", fmt::join(differs, "; ")),
                              pair.fixture});
      }
    }
  }
  return table;
}

}  // namespace elastikv
