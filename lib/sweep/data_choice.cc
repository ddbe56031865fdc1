#include "sweep/data_choice.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/nearest_name.h"
#include "sweep/config_fields.h"
#include "text/bos.h"

namespace elastikv {
namespace {

/// Windows of tokens, when any of their keys is there.
std::optional<TokenWindows> read_token_windows(const YamlFields& fields) {
  const char* present = nullptr;
  for (const char* key : {"prompt_tokens", "answer_tokens", "stride", "bos"}) {
    if (fields.has(key)) present = key;
  }
  if (present == nullptr) return std::nullopt;
  for (const char* key : {"context_words", "answer_words"}) {
    if (!fields.has(key)) continue;
    fields.at(key).fail_here(
        fmt::format("excludes '{}': a text is cut into windows of words or of tokens", present));
  }
  fields.at("prompt_tokens");  // both must be there: no number of tokens suits every model
  fields.at("answer_tokens");
  TokenWindows windows;
  windows.prompt_tokens = at_least(fields, "prompt_tokens", 1, 0, kMostNewTokens);
  windows.answer_tokens = at_least(fields, "answer_tokens", 1, 0, kMostNewTokens);
  if (fields.has("stride")) {
    windows.stride = at_least(fields, "stride", 1, 1, kMostNewTokens);
    if (*windows.stride < windows.answer_tokens) {
      fields.at("stride").fail_here(
          fmt::format("is {}, below answer_tokens, which is {}: tokens would be scored in several "
                      "windows",
                      *windows.stride, windows.answer_tokens));
    }
  }
  if (fields.has("bos")) {
    const YamlFields node = fields.at("bos");
    try {
      windows.bos = parse_bos_rule(node.as_string());
    } catch (const Error&) {
      node.fail_here(fmt::format("is '{}', needs auto, always or never", node.as_string()));
    }
  }
  return windows;
}

/// Where a data set's answers, questions and pictures come from when its file has none, and what
/// becomes of samples that lack them.
void read_data_sources(const YamlFields& fields, DataOptions& data) {
  for (auto [key, file] :
       {std::pair{"answers", &data.answers}, std::pair{"picture_cache", &data.picture_cache}}) {
    if (!fields.has(key)) continue;
    *file = fields.string(key);
    if (file->empty()) fields.at(key).fail_here("is empty");
  }
  if (fields.has("prompt")) {
    data.prompt = fields.string("prompt");
    if (data.prompt.empty()) fields.at("prompt").fail_here("is empty");
  }
  if (fields.has("on_problem")) {
    const YamlFields node = fields.at("on_problem");
    if (node.as_string() != "refuse" && node.as_string() != "record")
      node.fail_here(fmt::format("is '{}', needs refuse or record", node.as_string()));
    data.on_problem = node.as_string() == "record" ? OnProblem::kRecord : OnProblem::kRefuse;
  }
  if (fields.has("ids")) {
    const YamlFields node = fields.at("ids");
    if (node.as_string() != "number" && node.as_string() != "unique")
      node.fail_here(fmt::format("is '{}', needs number or unique", node.as_string()));
    data.ids = node.as_string() == "unique" ? RepeatedIds::kRefuse : RepeatedIds::kNumber;
  }
}

DataOptions read_data_choice(const YamlFields& fields, const SweepOverrides& overrides) {
  fields.require_known_keys({"path",
                             "format",
                             "name",
                             "turn",
                             "image_root",
                             "limit",
                             "offset",
                             "sample_ids",
                             "context_words",
                             "answer_words",
                             "prompt_tokens",
                             "answer_tokens",
                             "stride",
                             "bos",
                             "expect",
                             "picture_place",
                             "picture_orientation",
                             "answers",
                             "prompt",
                             "picture_cache",
                             "on_problem",
                             "ids"});
  DataOptions data;
  data.path = fields.string("path");
  if (data.path.empty()) fields.at("path").fail_here("is empty");
  if (fields.has("expect")) {
    const YamlFields expect = fields.at("expect");
    expect.require_known_keys({"samples", "question_tokens", "answer_tokens"});
    ExpectedData& expected = data.expected.emplace();
    expected.samples = at_least(expect, "samples", 1, 1);
    expected.question_tokens = at_least(expect, "question_tokens", 1, 1);
    expected.answer_tokens = at_least(expect, "answer_tokens", 1, 1);
  }
  data.format = fields.string("format", data.format);
  const auto& formats = data_formats();
  if (std::find(formats.begin(), formats.end(), data.format) == formats.end()) {
    fields.at("format").fail_here(
        fmt::format("is '{}', no known format{}", data.format, suggestion(data.format, formats)));
  }
  data.name = fields.has("name") ? label_of(fields.at("name")) : as_label(data_set_name(data.path));
  data.turn = fields.string("turn", data.turn);
  int64_t number = 0;
  if (data.turn != "first" && data.turn != "all" && (!parse_int(data.turn, number) || number < 1)) {
    fields.at("turn").fail_here(
        fmt::format("is '{}', needs first, all or a number from 1", data.turn));
  }
  data.image_root = fields.string("image_root", "");
  read_data_sources(fields, data);
  if (fields.has("picture_place")) {
    const YamlFields node = fields.at("picture_place");
    if (node.as_string() != "before" && node.as_string() != "after")
      node.fail_here(fmt::format("is '{}', needs before or after", node.as_string()));
    data.picture_place = node.as_string();
  }
  if (fields.has("picture_orientation")) {
    const YamlFields node = fields.at("picture_orientation");
    if (node.as_string() != "stored" && node.as_string() != "exif")
      node.fail_here(fmt::format("is '{}', needs stored or exif", node.as_string()));
    data.picture_orientation = parse_picture_orientation(node.as_string());
  }
  if (fields.has("limit")) data.limit = at_least(fields, "limit", 1, 1);
  data.offset = at_least(fields, "offset", 0, data.offset);
  if (fields.has("sample_ids")) {
    for (const YamlFields& id : one_or_list(fields.at("sample_ids"))) {
      data.sample_ids.push_back(id.as_string());
    }
  }
  data.context_words = at_least(fields, "context_words", 1, data.context_words);
  data.answer_words = at_least(fields, "answer_words", 1, data.answer_words);
  data.tokens = read_token_windows(fields);
  if (overrides.limit) {
    if (*overrides.limit < 1) fail("--limit is {}, needs to be at least 1", *overrides.limit);
    data.limit = overrides.limit;
  }
  return data;
}

}  // namespace

std::vector<DataOptions> read_data_choices(const YamlFields& fields,
                                           const SweepOverrides& overrides) {
  require_no_name(fields, "name", {"path"});
  std::vector<VariantKey> keys{
      {"path", /*named=*/false}, {"picture_place"}, {"picture_orientation"}, {"bos"}};
  for (const char* key :
       {"turn", "context_words", "answer_words", "prompt_tokens", "answer_tokens", "stride"})
    keys.push_back({key, /*named=*/true, /*ranges=*/true});
  std::vector<DataOptions> sets;
  for (const Variant& variant : variants_of(fields, keys)) {
    sets.push_back(read_data_choice(variant.fields, overrides));
    sets.back().name += variant.suffix;
    if (overrides.record_problems) sets.back().on_problem = OnProblem::kRecord;
  }
  return sets;
}

nlohmann::ordered_json data_json(const DataOptions& data, bool records_only) {
  nlohmann::ordered_json entry{{"path", data.path.string()},
                               {"format", data.format},
                               {"name", data.name},
                               {"turn", data.turn},
                               {"image_root", data.image_root.string()}};
  // Written only where they are set: earlier records were made without them.
  if (!data.picture_place.empty()) entry["picture_place"] = data.picture_place;
  if (data.picture_orientation != PictureOrientation::kStored)
    entry["picture_orientation"] = picture_orientation_name(data.picture_orientation);
  if (!data.answers.empty()) entry["answers"] = data.answers.string();
  if (!data.prompt.empty()) entry["prompt"] = data.prompt;
  if (data.tokens) {
    entry["prompt_tokens"] = data.tokens->prompt_tokens;
    entry["answer_tokens"] = data.tokens->answer_tokens;
    // Without one it depends on the tokenizer: so far as a window takes of the text.
    if (data.tokens->stride) entry["stride"] = *data.tokens->stride;
    entry["bos"] = bos_rule_name(data.tokens->bos);
  } else {
    entry["context_words"] = data.context_words;
    entry["answer_words"] = data.answer_words;
  }
  if (!records_only) {
    if (data.limit) entry["limit"] = *data.limit;
    entry["offset"] = data.offset;
    if (!data.sample_ids.empty()) entry["sample_ids"] = data.sample_ids;
    if (!data.picture_cache.empty()) entry["picture_cache"] = data.picture_cache.string();
    if (data.on_problem == OnProblem::kRecord) entry["on_problem"] = "record";
    // It refuses a file or changes nothing.
    if (data.ids == RepeatedIds::kRefuse) entry["ids"] = "unique";
  }
  return entry;
}

}  // namespace elastikv
