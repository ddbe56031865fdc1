#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "report/comparison.h"
#include "report/table.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;
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
    row.push_back(fmt::format("{}", theirs.budget));
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
    std::string line = fmt::format("- {} at {}", value.strategy, value.theirs.budget);
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
    text += fmt::format("\n#### {}\n\n{}", measure,
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

Json number(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

Json interval_json(const std::optional<Interval>& interval) {
  return interval ? Json{interval->low, interval->high} : Json(nullptr);
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string state_name(State state) {
  return state == State::kSame ? "same" : state == State::kDiffers ? "differs" : "unknown";
}

Json value_json(const ComparedValue& value, bool bench) {
  const PublishedValue& theirs = value.theirs;
  Json json{{"row", theirs.strategy}, {"minus", text_or_null(theirs.minus)}};
  if (bench) {
    json["batch"] = theirs.batch;
    json["prompt_tokens"] = theirs.prompt_tokens;
    json["new_tokens"] = theirs.new_tokens;
  }
  json["budget"] = theirs.budget;
  json["measure"] = theirs.measure;
  json["strategy"] = text_or_null(value.strategy);
  json["computes"] = text_or_null(std::string(stands_for_text(value.stands_for)));
  json["status"] = value.status.empty() ? "ok" : value.status;
  json["reason"] = text_or_null(value.reason);
  json["ours"] = number(value.ours);
  json[bench ? "ours_quartiles" : "ours_interval"] = interval_json(value.interval);
  json["theirs"] = theirs.text;
  json["theirs_range"] = theirs.value ? Json{theirs.range.low, theirs.range.high} : Json(nullptr);
  json["difference"] = number(value.difference());
  json["ratio"] = number(value.ratio());
  const auto within = value.within();
  json["theirs_within_ours"] = within ? Json(*within) : Json(nullptr);
  return json;
}

Json pair_json(const ComparedPair& pair, bool bench) {
  Json json{{"run", pair.run},
            {"fixture", text_or_null(pair.fixture)},
            {"model", pair.model},
            {"data", text_or_null(pair.data)},
            {"published_model", pair.published_model},
            {"published_data", text_or_null(pair.published_data)},
            {"samples", text_or_null(pair.samples)},
            {"complete", pair.complete},
            {"values", Json::array()},
            {"protocol", Json::array()},
            {"strategies", pair.strategies}};
  for (const ComparedValue& value : pair.values) {
    json["values"].push_back(value_json(value, bench));
  }
  for (const ProtocolPoint& point : pair.protocol) {
    json["protocol"].push_back({{"point", point.name},
                                {"state", state_name(point.state)},
                                {"ours", point.ours},
                                {"theirs", point.theirs}});
  }
  return json;
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

std::string comparison_csv(const std::vector<TableComparison>& comparisons) {
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
      for (const ProtocolPoint* point : points_of(pair, State::kDiffers)) {
        differs.push_back(point->name);
      }
      for (const ComparedValue& value : pair.values) {
        const PublishedValue& theirs = value.theirs;
        const auto& interval = value.interval;
        const bool number = theirs.value.has_value();  // else OOM
        const auto within = value.within();
        table.rows.push_back({comparison.table.id,
                              pair.published_model,
                              pair.published_data,
                              theirs.strategy,
                              theirs.minus,
                              fmt::format("{}", theirs.budget),
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
                              within ? yes_or_no(within) : "",
                              pair.samples,
                              fmt::format("{}", fmt::join(differs, "; ")),
                              pair.fixture});
      }
    }
  }
  return table.csv();
}

std::string comparison_json(const std::vector<TableComparison>& comparisons) {
  Json json{{"format", "elastikv-comparison-1"}, {"tables", Json::array()}};
  for (const TableComparison& comparison : comparisons) {
    const PublishedTable& table = comparison.table;
    Json entry{{"id", table.id},
               {"title", table.title},
               {"citation", table.citation},
               {"arxiv", text_or_null(table.arxiv)},
               {"where", table.where},
               {"notes", table.notes},
               {"pairs", Json::array()}};
    for (const ComparedPair& pair : comparison.pairs) {
      entry["pairs"].push_back(pair_json(pair, table.bench));
    }
    json["tables"].push_back(std::move(entry));
  }
  return json.dump(/*indent=*/1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}

}  // namespace elastikv
