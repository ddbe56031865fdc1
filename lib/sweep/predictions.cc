#include "sweep/predictions.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <set>
#include <utility>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/nearest_name.h"
#include "sweep/config.h"
#include "sweep/json_line.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPlaceholder = "<image>";

/// A text of a cell with the sample it answers.
struct Answered {
  const StoredSample& sample;
  const CellOutcome& outcome;
};

/// One string, or the list where there are several.
Json one_or_list(const std::vector<std::string>& texts) {
  return texts.size() == 1 ? Json(texts.front()) : Json(texts);
}

Json jsonl_line(const Cell& cell, const Answered& answered) {
  const StoredSample& sample = answered.sample;
  Json json{{"id", sample.id}, {"question", sample.question}};
  json["reference"] =
      sample.references.empty() ? Json(sample.answer) : one_or_list(sample.references);
  json["candidate"] = answered.outcome.text;
  if (!sample.categories.empty()) json["category"] = one_or_list(sample.categories);
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

/// The question without the places of its pictures, which LLaVA's answers do not show.
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

Json llava_line(const Cell& cell, const Answered& answered) {
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

std::string text_of(PredictionForm form, const Cell& cell, const std::vector<Answered>& texts) {
  if (form == PredictionForm::kMmVet) {
    Json object = Json::object();
    for (const Answered& answered : texts)
      object[mm_vet_key(answered.sample.id)] = answered.outcome.text;
    return object.dump(/*indent=*/1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                       Json::error_handler_t::replace) +
           "\n";
  }
  std::string lines;
  for (const Answered& answered : texts) {
    lines += json_line(form == PredictionForm::kLlava ? llava_line(cell, answered)
                                                      : jsonl_line(cell, answered)) +
             "\n";
  }
  return lines;
}

/// File names for cell ids, different for different cells.
std::vector<std::string> file_names(const std::vector<Cell>& cells) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const Cell& cell : cells) {
    std::string name;
    for (const char letter : cell.id) {
      const bool fits = std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '.' ||
                        letter == '_' || letter == '-' || letter == '+';
      name += letter == '/' ? std::string("__") : std::string(1, fits ? letter : '_');
    }
    if (name.starts_with('.')) name[0] = '_';  // neither hidden nor ".."
    std::string unique = name;
    for (int number = 2; !taken.insert(unique).second; ++number)
      unique = fmt::format("{}-{}", name, number);
    names.push_back(std::move(unique));
  }
  return names;
}

/// A budget as cells write it.
std::string budget_text(const std::string& budget) {
  double number = 0;
  return parse_double(budget, number) ? fmt::format("{}", number) : budget;
}

/// Error when no cell has this name of its kind.
void require_known(const std::vector<Cell>& cells, const std::string& folder, std::string_view kind,
                   const std::string& name,
                   const std::function<std::string(const Cell&)>& name_of) {
  if (name.empty()) return;
  std::vector<std::string> known;
  for (const Cell& cell : cells) {
    const std::string other = name_of(cell);
    if (other == name) return;
    if (std::find(known.begin(), known.end(), other) == known.end()) known.push_back(other);
  }
  fail("{}: has no {} '{}'{}", folder, kind, name, suggestion(name, known));
}

}  // namespace

const std::vector<std::string>& prediction_forms() {
  static const std::vector<std::string> forms{"jsonl", "mm-vet", "llava"};
  return forms;
}

PredictionForm parse_prediction_form(std::string_view name) {
  const auto& forms = prediction_forms();
  const auto found = std::find(forms.begin(), forms.end(), name);
  if (found == forms.end()) fail("form '{}' is not known{}", name, suggestion(name, forms));
  return static_cast<PredictionForm>(found - forms.begin());
}

Predictions::Predictions(const std::filesystem::path& folder)
    : folder_(folder.string()), sweep_(read_stored_sweep(folder)) {
  const SweepConfig config = parse_sweep(sweep_.header.config, "sweep.json");
  if (!config.evaluation().generate) {
    fail(
        "{}: its sweep wrote no texts: no text metric and no agreement was asked for; run one with "
        "--predict-only",
        folder_);
  }
  if (sweep_.samples.empty()) {
    fail(
        "{}: holds no samples.jsonl: it was made before samples were kept; run the sweep with "
        "--resume, which adds it",
        folder_);
  }
  for (const CellGroup& group : plan_cells(config))
    cells_.insert(cells_.end(), group.cells.begin(), group.cells.end());
  names_ = file_names(cells_);
}

std::vector<Cell> Predictions::select(const CellSelection& selection) const {
  require_known(cells_, folder_, "cell", selection.id, [](const Cell& cell) { return cell.id; });
  std::vector<Cell> shown;
  for (const Cell& cell : cells_) {
    if (!cell.hidden || cell.id == selection.id) shown.push_back(cell);
  }
  const std::string budget = budget_text(selection.budget);
  const std::pair<std::string_view, std::pair<std::string, std::function<std::string(const Cell&)>>>
      kinds[] = {
          {"model", {selection.model, [](const Cell& cell) { return cell.model; }}},
          {"data set", {selection.data, [](const Cell& cell) { return cell.data; }}},
          {"strategy", {selection.strategy, [](const Cell& cell) { return cell.strategy.label; }}},
          {"budget", {budget, [](const Cell& cell) { return cell.budget.text(); }}}};
  std::string asked = selection.id.empty() ? "" : fmt::format("cell '{}'", selection.id);
  std::erase_if(shown,
                [&](const Cell& cell) { return !selection.id.empty() && cell.id != selection.id; });
  for (const auto& [kind, choice] : kinds) {
    const auto& [name, name_of] = choice;
    require_known(cells_, folder_, kind, name, name_of);
    if (name.empty()) continue;
    asked += fmt::format("{}{} '{}'", asked.empty() ? "" : ", ", kind, name);
    std::erase_if(shown, [&name = name, &name_of = name_of](const Cell& cell) {
      return name_of(cell) != name;
    });
  }
  if (shown.empty()) fail("{}: no cell has {}", folder_, asked);
  return shown;
}

PredictionFile Predictions::write(const Cell& cell, PredictionForm form) const {
  PredictionFile file;
  file.cell = cell.id;
  const auto same = [&](const Cell& other) { return other.id == cell.id; };
  const auto index = std::find_if(cells_.begin(), cells_.end(), same) - cells_.begin();
  file.name =
      names_.at(static_cast<size_t>(index)) + (form == PredictionForm::kMmVet ? ".json" : ".jsonl");
  const std::vector<StoredSample>* samples = sweep_.samples_of(cell.model, cell.data);
  if (samples == nullptr) fail("{}: samples.jsonl has no samples of {}", folder_, cell.data);
  std::vector<Answered> texts;
  for (const StoredSample& sample : *samples) {
    const Record* record = sweep_.records.find(cell.id, sample.id);
    if (record != nullptr && !record->failed()) {
      texts.push_back({sample, record->outcome});
      continue;
    }
    const std::string& why = record != nullptr         ? record->outcome.error
                             : !sample.problem.empty() ? sample.problem
                                                       : std::string("not evaluated yet");
    file.missing.push_back(fmt::format("{} ({})", sample.id, why));
  }
  if (texts.empty()) {
    fail("{}: {} has no text of any sample; first: {}", folder_, cell.id, file.missing.front());
  }
  file.text = text_of(form, cell, texts);
  return file;
}

std::vector<PredictionFile> write_predictions(const std::filesystem::path& output) {
  const Predictions predictions(output);
  const std::filesystem::path folder = output / "predictions";
  std::filesystem::create_directories(folder);
  std::vector<PredictionFile> files;
  for (const Cell& cell : predictions.select({})) {
    files.push_back(predictions.write(cell, PredictionForm::kJsonl));
    write_file_atomically(folder / files.back().name, files.back().text);
  }
  return files;
}

}  // namespace elastikv
