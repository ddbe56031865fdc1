#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "report/comparison_output.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

Json number(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

Json interval_json(const std::optional<Interval>& interval) {
  return interval ? Json{interval->low, interval->high} : Json(nullptr);
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string state_name(ProtocolPoint::State state) {
  using State = ProtocolPoint::State;
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
  json["budget"] = theirs.budget_tokens ? Json(theirs.budget_text()) : Json(theirs.budget);
  json["measure"] = theirs.measure;
  if (theirs.out_of != 1) json["out_of"] = theirs.out_of;
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
