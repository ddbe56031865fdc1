#include "sweep/prediction_forms.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/hash.h"
#include "base/nearest_name.h"
#include "sweep/json_line.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPlaceholder = "<image>";

/// One string, or the list where there are several.
Json one_or_list(const std::vector<std::string>& texts) {
  return texts.size() == 1 ? Json(texts.front()) : Json(texts);
}

Json jsonl_line(const Cell& cell, const AnsweredSample& answered) {
  const StoredSample& sample = answered.sample;
  Json json{{"id", sample.id}, {"question", sample.question}};
  json["reference"] =
      sample.references.empty() ? Json(sample.answer) : one_or_list(sample.references);
  json["candidate"] = answered.outcome.text;
  if (!sample.votes.empty()) json["votes"] = sample.votes;
  if (!sample.options.empty()) json["options"] = sample.options;
  if (!answered.outcome.options.empty()) {
    Json& likelihoods = json["log_likelihoods"] = Json::object();
    for (const OptionLikelihood& option : answered.outcome.options)
      likelihoods[std::string(1, option.letter)] = option.log_likelihood;
  }
  if (!sample.categories.empty()) json["category"] = one_or_list(sample.categories);
  if (!sample.group.empty()) json["group"] = sample.group;
  if (!sample.cluster.empty()) json["cluster"] = sample.cluster;
  json["images"] = sample.images;
  json["model"] = cell.model;
  json["strategy"] = cell.strategy.label;
  json["budget"] = cell.budget.text();
  json["data"] = cell.data;
  json["finished"] = answered.outcome.finished;
  json["tokens"] = answered.outcome.token_ids.size();
  return json;
}

/// The question without the places of its images, which LLaVA's answers do not show.
std::string bare_question(std::string question) {
  for (size_t at = question.find(kPlaceholder); at != std::string::npos;
       at = question.find(kPlaceholder)) {
    size_t end = at + kPlaceholder.size();
    if (end < question.size() && question[end] == '\n') {
      ++end;
    } else if (at > 0 && question[at - 1] == '\n') {
      --at;
    }
    question.erase(at, end - at);
  }
  return question;
}

Json llava_line(const Cell& cell, const AnsweredSample& answered) {
  const StoredSample& sample = answered.sample;
  int64_t number = 0;
  const bool is_number = parse_int(sample.id, number) && std::to_string(number) == sample.id;
  std::string model = cell.model + "/" + cell.strategy.label;
  if (!cell.is_full()) model += fmt::format("/{}", cell.budget.text());
  return {{"question_id", is_number ? Json(number) : Json(sample.id)},
          {"prompt", bare_question(sample.question)},
          {"text", answered.outcome.text},
          // Names the answer; the same text of the same cell has the same one.
          {"answer_id",
           content_hash(fmt::format("{}\n{}\n{}", cell.id, sample.id, answered.outcome.text))},
          {"model_id", std::move(model)},
          {"metadata", Json::object()}};
}

/// The key that MM-Vet's evaluator looks for.
std::string mm_vet_key(const std::string& id) {
  const bool is_number =
      !id.empty() && std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
  return is_number ? fmt::format("v1_{}", id) : id;
}

/// JSON lines, each made by `line`.
template <Json (*line)(const Cell&, const AnsweredSample&)>
std::string written_lines(const Cell& cell, const std::vector<AnsweredSample>& texts) {
  std::string lines;
  for (const AnsweredSample& answered : texts) lines += json_line(line(cell, answered)) + "\n";
  return lines;
}

std::string mm_vet_object(const Cell&, const std::vector<AnsweredSample>& texts) {
  Json object = Json::object();
  for (const AnsweredSample& answered : texts)
    object[mm_vet_key(answered.sample.id)] = answered.outcome.text;
  return object.dump(/*indent=*/1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                     Json::error_handler_t::replace) +
         "\n";
}

}  // namespace

const std::vector<PredictionForm>& prediction_forms() {
  static const std::vector<PredictionForm> forms{
      // JSON lines of id, question, reference, candidate, what else metrics are told of the
      // question, and where the text comes from.
      {"jsonl", ".jsonl", "what 'score' reads", written_lines<jsonl_line>},
      // One object {"v1_0": "text", ...}. An id that is a number N becomes v1_N, as in LLaVA's
      // converter; any other id stays.
      {"mm-vet", ".json", "MM-Vet's evaluator", mm_vet_object},
      // JSON lines of question_id, prompt, text, answer_id, model_id and metadata, which LLaVA's
      // GPT review reads.
      {"llava", ".jsonl", "LLaVA's answers", written_lines<llava_line>},
  };
  return forms;
}

const PredictionForm& prediction_form(std::string_view name) {
  std::vector<std::string> known;
  for (const PredictionForm& form : prediction_forms()) {
    if (name == form.name) return form;
    known.emplace_back(form.name);
  }
  fail("form '{}' is not known{}", name, suggestion(name, known));
}

}  // namespace elastikv
