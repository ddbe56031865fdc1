#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "report/comparison_output.h"

namespace elastikv {
namespace {

using State = ProtocolPoint::State;

/// "+0.123", "-12.34", "+105.2": the digits of short_number.
std::string signed_number(double value) {
  const std::string text = short_number(value);
  return text.starts_with('-') ? text : "+" + text;
}

std::string row_name(const PublishedValue& value) {
  return value.minus.empty() ? value.strategy
                             : fmt::format("{} minus {}", value.strategy, value.minus);
}

std::string yes_or_no(std::optional<bool> value) { return !value ? "-" : *value ? "yes" : "no"; }

std::vector<const ProtocolPoint*> points_of(const ComparedPair& pair, State state) {
  std::vector<const ProtocolPoint*> points;
  for (const ProtocolPoint& point : pair.protocol) {
    if (point.state == state) points.push_back(&point);
  }
  return points;
}

/// One measure's numbers.
Table value_table(const ComparedPair& pair, const std::string& measure, bool bench) {
  const auto of_measure = [&](const ComparedValue& value) {
    return value.theirs.measure == measure;
  };
  const bool ratios =
      std::any_of(pair.values.begin(), pair.values.end(),
                  [&](const ComparedValue& value) { return of_measure(value) && value.ratio(); });
  Table table;
  table.header = {"published row", "our strategy", "computes"};
  if (bench) table.header.insert(table.header.end(), {"batch", "tokens"});
  table.header.insert(table.header.end(), {"budget", "ours", "theirs", "ours - theirs"});
  if (ratios) table.header.emplace_back("ours / theirs");
  table.header.emplace_back(bench ? "theirs in our quartiles" : "theirs in our interval");
  for (const ComparedValue& value : pair.values) {
    if (!of_measure(value)) continue;
    const PublishedValue& theirs = value.theirs;
    std::vector<std::string> row{
        row_name(theirs), value.strategy.empty() ? "-" : value.strategy,
        value.strategy.empty() ? "-" : std::string(stands_for_text(value.stands_for))};
    if (bench) {
      row.push_back(std::to_string(theirs.batch));
      row.push_back(fmt::format("{}+{}", theirs.prompt_tokens, theirs.new_tokens));
    }
    const auto difference = value.difference();
    row.push_back(theirs.budget_text());
    row.push_back(value.ours ? with_interval(*value.ours, value.interval) : value.status);
    row.push_back(theirs.text);
    row.push_back(difference ? signed_number(*difference) : "-");
    if (ratios) {
      const auto ratio = value.ratio();
      row.push_back(ratio ? short_number(*ratio) : "-");
    }
    row.push_back(yes_or_no(value.within()));
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// The measures of a pair's values, each once, in their order.
std::vector<std::string> measures_of(const ComparedPair& pair) {
  std::vector<std::string> measures;
  for (const ComparedValue& value : pair.values) {
    const std::string& measure = value.theirs.measure;
    if (std::find(measures.begin(), measures.end(), measure) == measures.end()) {
      measures.push_back(measure);
    }
  }
  return measures;
}

/// On which scale a measure's values are printed that is not its own: ", out of 100".
std::string scale_text(const ComparedPair& pair, const std::string& measure) {
  const auto found =
      std::find_if(pair.values.begin(), pair.values.end(),
                   [&](const ComparedValue& value) { return value.theirs.measure == measure; });
  return found->theirs.out_of == 1 ? "" : fmt::format(", out of {}", found->theirs.out_of);
}

std::string protocol_text(const ComparedPair& pair) {
  std::string text;
  const auto list = [&](const char* title, State state) {
    const auto points = points_of(pair, state);
    if (points.empty()) return;
    text += fmt::format("\n{}\n\n", title);
    for (const ProtocolPoint* point : points) {
      const bool name = point->name == "model" || point->name == "data set";
      text += fmt::format("- {}: ours {}, theirs {}\n",
                          name ? fmt::format("**another {}**", point->name) : point->name,
                          markdown_text(point->ours), markdown_text(point->theirs));
    }
  };
  list("Protocol points that differ:", State::kDiffers);
  list("Points that the records cannot settle:", State::kUnknown);
  std::vector<std::string> same;
  for (const ProtocolPoint* point : points_of(pair, State::kSame)) {
    same.push_back(fmt::format("{} ({})", point->name, markdown_text(point->ours)));
  }
  if (!same.empty()) {
    text += fmt::format("\nThe same ({}): {}.\n", same.size(), fmt::join(same, ", "));
  }
  return text;
}

std::string on(const std::string& model, const std::string& data) {
  return data.empty() ? model : fmt::format("{} on {}", model, data);
}

/// Why cells have no numbers, each once though several measures are missing for it.
std::string reasons_text(const ComparedPair& pair) {
  std::vector<std::string> lines;
  for (const ComparedValue& value : pair.values) {
    if (value.reason.empty()) continue;
    std::string line = fmt::format("- {} at {}", value.strategy, value.theirs.budget_text());
    if (value.theirs.batch > 0) {
      line += fmt::format(", batch {} of {}+{}", value.theirs.batch, value.theirs.prompt_tokens,
                          value.theirs.new_tokens);
    }
    line += fmt::format(": {}: {}\n", value.status, markdown_text(value.reason));
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
  }
  return lines.empty() ? "" : fmt::format("\nWithout a number:\n\n{}", fmt::join(lines, ""));
}

std::string pair_text(const ComparedPair& pair, bool bench) {
  std::string text = fmt::format("\n### {} beside {}\n\n", on(pair.model, pair.data),
                                 on(pair.published_model, pair.published_data));
  text += fmt::format("Ours: {}", markdown_text(pair.run));
  if (!pair.samples.empty()) {
    text +=
        pair.complete ? fmt::format(", {}", pair.samples) : fmt::format(", **{}**", pair.samples);
  } else if (!pair.complete) {
    text += ", **interrupted**";
  }
  text += ".\n";
  if (!pair.fixture.empty()) {
    text += fmt::format("\n**FIXTURE: made-up records, not a measurement** ({}).\n",
                        markdown_text(pair.fixture));
  }
  for (const std::string& measure : measures_of(pair)) {
    text += fmt::format("\n#### {}{}\n\n{}", measure, scale_text(pair, measure),
                        value_table(pair, measure, bench).markdown(/*left_columns=*/3));
  }
  text += reasons_text(pair);
  if (!pair.strategies.empty()) {
    text += fmt::format("\nOurs: {}.\n", fmt::join(pair.strategies, "; "));
  }
  return text + protocol_text(pair);
}

/// Whether any part is of made-up records.
bool any_fixture(const std::vector<TableComparison>& comparisons) {
  return std::any_of(comparisons.begin(), comparisons.end(), [](const TableComparison& one) {
    return std::any_of(one.pairs.begin(), one.pairs.end(),
                       [](const ComparedPair& pair) { return !pair.fixture.empty(); });
  });
}

}  // namespace

std::string comparison_markdown(const std::vector<TableComparison>& comparisons) {
  std::string text = "# Beside published numbers\n";
  if (any_fixture(comparisons)) {
    text +=
        "\n**FIXTURE: made-up records, not a measurement.** Parts below that say so compare "
        "invented numbers.\n";
  }
  text +=
      "\nIntervals are 95 % bootstrap-t intervals over our samples (of speeds: quartiles over our "
      "runs); theirs have none. Theirs counts as\nwithin ours where any number that rounds to what "
      "was printed does. `released code` and `the paper` say what our strategy computes; printed\n"
      "numbers measured released code.\n";
  for (const TableComparison& comparison : comparisons) {
    const PublishedTable& table = comparison.table;
    text += fmt::format("\n## {}\n\n`{}`: {}; {}.\n", table.title, table.id, table.citation,
                        table.where);
    if (!table.notes.empty()) text += "\n";
    for (const std::string& note : table.notes) text += fmt::format("- {}\n", note);
    for (const ComparedPair& pair : comparison.pairs) text += pair_text(pair, table.bench);
  }
  return text;
}

}  // namespace elastikv
