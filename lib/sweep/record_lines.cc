#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/json_fields.h"
#include "base/json_integer.h"
#include "sweep/failure_name.h"
#include "sweep/json_line.h"
#include "sweep/records.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHeaderFormat = "elastikv-sweep-3";
/// The same without revisions; its records have no commit.
constexpr const char* kEarlierHeaderFormat = "elastikv-sweep-2";

/// What is not finite has no number in JSON: a word stands for it, where the library would write
/// null, which does not say what it was.
Json number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

/// A float as the shortest decimal that reads back as the same float.
Json number(float value) {
  double result = value;
  if (std::isfinite(value)) parse_double(fmt::format("{}", value), result);
  return number(result);
}

/// The reverse; null, as earlier versions wrote it, is NaN.
double double_of(const Json& json) {
  if (json.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (json.is_string()) {
    const auto& word = json.get_ref<const std::string&>();
    if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
    if (word == "inf") return std::numeric_limits<double>::infinity();
    if (word == "-inf") return -std::numeric_limits<double>::infinity();
  }
  return json.get<double>();
}

/// The largest float stands for what rounding took beyond it.
float float_of(const Json& json) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const double value = double_of(json);
  return static_cast<float>(std::isfinite(value) ? std::clamp(value, -kLargest, kLargest) : value);
}

/// `text` must be JSON; `read` takes it apart.
template <typename Read>
auto read_json(std::string_view text, const std::string& place, Read read) {
  const Json json = Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) fail("{}: damaged: not valid JSON", place);
  try {
    return read(json);
  } catch (const Json::exception& error) {
    fail("{}: damaged: {}", place, error.what());
  }
}

/// Error for any other number.
int64_t integer_of(const Json& json, const std::string& place) {
  const std::optional<int64_t> integer = integer_in(json);
  if (!integer) {
    fail("{}: damaged: an integer of 64 bits is needed, this is {}", place,
         json.is_number() ? json.dump() : json.type_name());
  }
  return *integer;
}
void read_integers(const Json& json, const std::string& place, int64_t& integer) {
  integer = integer_of(json, place);
}
template <typename T>
void read_integers(const Json& json, const std::string& place, std::vector<T>& list) {
  if (!json.is_array()) fail("{}: damaged: a list is needed, this is {}", place, json.type_name());
  list.reserve(json.size());
  for (const Json& entry : json) read_integers(entry, place, list.emplace_back());
}

Json shared_seconds(const SharedSeconds& seconds) {
  return {{"image", number(seconds.image)},
          {"prefill", number(seconds.prefill)},
          {"statistics", number(seconds.statistics)},
          {"scoring", number(seconds.scoring)},
          {"generation", number(seconds.generation)}};
}

Json score_json(const Scorer& scorer, const Score& score) {
  Json json = Json::object();
  for (size_t i = 0; i < scorer.fields().size(); ++i) {
    Json& value = json[scorer.fields()[i].key];
    switch (scorer.fields()[i].kind) {
      case ScoreField::Kind::kNumber:
        value = number(score[i]);
        break;
      case ScoreField::Kind::kInteger:
        value = static_cast<int64_t>(score[i]);
        break;
      case ScoreField::Kind::kTruth:
        value = score[i] != 0;
        break;
    }
  }
  return json;
}

void add_scores(const Record& record, const Scorers& scorers, Json& json) {
  if (record.scores.empty()) return;
  ELASTIKV_ASSERT(record.scores.size() == scorers.size(), "{} scores of {} scorers",
                  record.scores.size(), scorers.size());
  for (size_t i = 0; i < scorers.size(); ++i) {
    if (!record.scores[i]) continue;
    const Scorer& scorer = *scorers[i];
    Json& section = json[scorer.section()];
    (scorer.name().empty() ? section : section[scorer.name()]) =
        score_json(scorer, *record.scores[i]);
  }
}

Json option_json(const OptionLikelihood& option) {
  return {{"letter", std::string(1, option.letter)},
          {"log_likelihood", number(option.log_likelihood)},
          {"tokens", option.tokens},
          {"bytes", option.bytes},
          {"characters", option.characters}};
}

void add_outcome(const Record& record, const Scorers& scorers, Json& json) {
  const CellOutcome& outcome = record.outcome;
  Json nll = Json::array();
  for (const float value : outcome.nll) nll.push_back(number(value));
  json["nll_sum"] = number(outcome.nll_sum);
  json["scored_tokens"] = outcome.scored_tokens;
  json["nll"] = std::move(nll);
  json["text"] = outcome.text;
  json["token_ids"] = outcome.token_ids;
  json["finished"] = outcome.finished;
  if (!outcome.options.empty()) {
    Json& options = json["options"] = Json::array();
    for (const OptionLikelihood& option : outcome.options) options.push_back(option_json(option));
  }
  add_scores(record, scorers, json);
  if (outcome.mean_kl) json["mean_kl"] = number(*outcome.mean_kl);
  if (outcome.compressed_tokens > 0) json["compressed_tokens"] = outcome.compressed_tokens;
  json["requested_tokens"] = outcome.requested_tokens;
  Json& kept = json["kept_tokens"] = Json::array();
  for (size_t layer = 0; layer < outcome.kept_tokens.layers(); ++layer)
    kept.push_back(outcome.kept_tokens.layer(layer));
  json["entry_bytes"] = outcome.entry_bytes;
  json["cache_bytes_prefill"] = outcome.cache_bytes_prefill;
  json["cache_bytes_end"] = outcome.cache_bytes_end;
  json["seconds"] = {{"compression", number(outcome.seconds.compression)}};
}

Json engine_json(const EngineIdentity& engine) {
  return {{"weights", engine.weights},
          {"tokenizer", engine.tokenizer},
          {"image_processing", engine.image_processing},
          {"prompt_format", engine.prompt_format},
          {"prompt_signature", engine.prompt_signature}};
}

}  // namespace

std::string_view failure_name(Failure failure) {
  switch (failure) {
    case Failure::kCell:
      return "failed";
    case Failure::kOutOfMemory:
      return "oom";
    case Failure::kSample:
      return "sample";
  }
  throw InternalError("a failure without a name");
}

std::string record_line(const Record& record, const Scorers& scorers) {
  Json json{{"cell", record.cell},
            {"sample", record.sample},
            {"status", record.failed() ? failure_name(record.outcome.failure) : "ok"},
            {"key", record.key}};
  if (!record.commit.empty()) json["commit"] = record.commit;
  json["item"] = record.item;
  json["hidden"] = record.hidden;
  json["prompt_tokens"] = record.prompt_tokens;
  json["image_tokens"] = record.image_tokens;
  json["shared_seconds"] = shared_seconds(record.shared);
  if (record.failed()) {
    json["error"] = record.outcome.error;
  } else {
    add_outcome(record, scorers, json);
  }
  return json_line(json);
}

std::string sample_line(const std::string& data, const StoredSample& sample,
                        const std::string& model) {
  Json json = Json::object();
  if (!model.empty()) json["model"] = model;
  json["data"] = data;
  json["id"] = sample.id;
  json["question"] = sample.question;
  json["answer"] = sample.answer;
  if (!sample.references.empty()) json["references"] = sample.references;
  if (!sample.votes.empty()) json["votes"] = sample.votes;
  if (!sample.options.empty()) json["options"] = sample.options;
  if (sample.turn > 0) json["turn"] = sample.turn;
  if (!sample.categories.empty()) json["categories"] = sample.categories;
  json["images"] = sample.images;
  if (!sample.cluster.empty()) json["cluster"] = sample.cluster;
  if (!sample.group.empty()) json["group"] = sample.group;
  if (!sample.problem.empty()) json["problem"] = sample.problem;
  return json_line(json);
}

SampleEntry parse_sample_line(std::string_view line, const std::string& place) {
  return read_json(line, place, [](const Json& json) {
    SampleEntry entry;
    json.at("data").get_to(entry.data);
    if (json.contains("model")) json["model"].get_to(entry.model);
    StoredSample& sample = entry.sample;
    json.at("id").get_to(sample.id);
    json.at("question").get_to(sample.question);
    json.at("answer").get_to(sample.answer);
    if (json.contains("references")) json["references"].get_to(sample.references);
    if (json.contains("votes")) json["votes"].get_to(sample.votes);
    if (json.contains("options")) json["options"].get_to(sample.options);
    if (json.contains("turn")) json["turn"].get_to(sample.turn);
    if (json.contains("categories")) json["categories"].get_to(sample.categories);
    json.at("images").get_to(sample.images);
    if (json.contains("cluster")) json["cluster"].get_to(sample.cluster);
    if (json.contains("group")) json["group"].get_to(sample.group);
    if (json.contains("problem")) json["problem"].get_to(sample.problem);
    return entry;
  });
}

std::string detail_line(const StoredDetail& stored) {
  constexpr int kDigits = 4;  // enough for a plot
  const SampleDetail& detail = stored.detail;
  Json importance = Json::array();
  for (const std::vector<float>& layer : detail.importance) {
    Json row = Json::array();
    for (const float value : layer) {
      double rounded = value;
      if (std::isfinite(value)) parse_double(fmt::format("{:.{}g}", value, kDigits), rounded);
      row.push_back(number(rounded));
    }
    importance.push_back(std::move(row));
  }
  return json_line(Json{{"model", stored.model},
                        {"data", stored.data},
                        {"sample", stored.sample},
                        {"cells", stored.cells},
                        {"prompt_tokens", detail.prompt_tokens},
                        {"image", {detail.image_begin, detail.image_end}},
                        {"grid", {detail.grid_rows, detail.grid_columns}},
                        {"thumbnail", detail.thumbnail},
                        {"importance", std::move(importance)},
                        {"kept", detail.kept}});
}

StoredDetail parse_detail_line(std::string_view line, const std::string& place) {
  return read_json(line, place, [&](const Json& json) {
    StoredDetail stored;
    json.at("model").get_to(stored.model);
    json.at("data").get_to(stored.data);
    json.at("sample").get_to(stored.sample);
    json.at("cells").get_to(stored.cells);
    SampleDetail& detail = stored.detail;
    detail.prompt_tokens = integer_of(json.at("prompt_tokens"), place);
    detail.image_begin = integer_of(json.at("image").at(0), place);
    detail.image_end = integer_of(json.at("image").at(1), place);
    detail.grid_rows = integer_of(json.at("grid").at(0), place);
    detail.grid_columns = integer_of(json.at("grid").at(1), place);
    json.at("thumbnail").get_to(detail.thumbnail);
    for (const Json& layer : json.at("importance")) {
      auto& row = detail.importance.emplace_back();
      for (const Json& value : layer) row.push_back(float_of(value));
    }
    read_integers(json.at("kept"), place, detail.kept);
    if (detail.kept.size() != stored.cells.size())
      fail("{}: damaged: {} kept sets of {} cells", place, detail.kept.size(), stored.cells.size());
    return stored;
  });
}

std::string Shard::text() const { return fmt::format("{}/{}", index, count); }

std::string header_text(const SweepHeader& header) {
  Json engines = Json::object();
  for (const auto& [name, engine] : header.engines) engines[name] = engine_json(engine);
  Json data = Json::object();
  for (const auto& [name, set] : header.data) {
    data[name] = {{"format", set.format}, {"content", set.content}, {"samples", set.samples}};
  }
  Json json{{"format", kHeaderFormat},
            {"name", header.name},
            {"program", header.program},
            {"records_hash", header.records_hash},
            {"config", Json::parse(header.config)},
            {"data", std::move(data)},
            {"engines", std::move(engines)},
            {"revisions", header.revisions},
            {"provenance", header.provenance}};
  if (header.shard) {
    json["shard"] = {{"index", header.shard->index}, {"count", header.shard->count}};
  }
  if (!header.strategies.empty()) json["strategies"] = header.strategies;
  return json.dump(/*indent=*/1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}

SweepHeader parse_header(std::string_view text, const std::string& place) {
  const Json json = is_nested_too_deep(text)
                        ? Json(Json::value_t::discarded)
                        : Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  const std::string format =
      json.is_object() && json.contains("format") && json["format"].is_string()
          ? json["format"].get<std::string>()
          : "";
  if (format != kHeaderFormat && format != kEarlierHeaderFormat)
    fail("{}: is not the description of a sweep's records that this version reads", place);
  try {
    SweepHeader header;
    json.at("name").get_to(header.name);
    json.at("program").get_to(header.program);
    json.at("records_hash").get_to(header.records_hash);
    header.config = json.at("config").dump();
    for (const auto& [name, set] : json.at("data").items()) {
      header.data[name] = {set.at("format").get<std::string>(),
                           set.at("content").get<std::string>(),
                           set.at("samples").get<std::vector<std::string>>()};
    }
    for (const auto& [name, engine] : json.at("engines").items()) {
      header.engines[name] = {
          engine.at("weights").get<std::string>(), engine.at("tokenizer").get<std::string>(),
          engine.at("image_processing").get<std::string>(),
          engine.at("prompt_format").get<std::string>(), engine.value("prompt_signature", "")};
    }
    if (format == kHeaderFormat) json.at("revisions").get_to(header.revisions);
    json.at("provenance").get_to(header.provenance);
    if (const auto shard = json.find("shard"); shard != json.end()) {
      const Shard read{integer_of(shard->at("index"), place),
                       integer_of(shard->at("count"), place)};
      if (read.index < 1 || read.index > read.count) fail("{}: damaged: no such shard", place);
      header.shard = read;
    }
    if (const auto strategies = json.find("strategies"); strategies != json.end())
      strategies->get_to(header.strategies);
    return header;
  } catch (const Json::exception& error) {
    fail("{}: damaged: {}", place, error.what());
  }
}

}  // namespace elastikv
