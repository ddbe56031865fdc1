#include "report/scores.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/json_problem.h"
#include "base/utf8.h"
#include "metrics/clusters.h"
#include "metrics/signature.h"

namespace elastikv {
namespace {

JsonFields parse_line(std::string_view line, const std::string& place) {
  const size_t malformed = find_broken_utf8(line);
  if (malformed != std::string_view::npos) fail("{}:{}: not valid UTF-8", place, malformed + 1);
  if (is_nested_too_deep(line)) {
    fail("{}: not read: nested deeper than {} levels", place, kMostJsonLevels);
  }
  try {
    nlohmann::json value = nlohmann::json::parse(line);
    if (!value.is_object()) {
      fail("{}: each line must be an object with id, reference and candidate, this is {}", place,
           value.type_name());
    }
    return {std::move(value), place};
  } catch (const nlohmann::json::parse_error& error) {
    const JsonProblem problem = json_problem(line, error.byte, error.what());
    fail("{}:{}: not valid JSON: {}", place, problem.column, problem.reason);
  } catch (const nlohmann::json::exception&) {
    fail("{}: not valid JSON (a number is out of range)", place);
  }
}

/// A string, or a list of strings.
std::vector<std::string> texts_at(const JsonFields& fields, const char* key) {
  if (!fields.has(key) || !fields.json()[key].is_array()) return {fields.string(key)};
  std::vector<std::string> texts = fields.strings(key);
  if (texts.empty()) fields.fail_key(key, "is an empty list, at least one string is needed");
  return texts;
}

/// Keeps a label as long as all lines agree on it.
void note_labels(const JsonFields& fields, bool first, ScoredFile& file) {
  for (size_t i = 0; i < kScoreLabels.size(); ++i) {
    const nlohmann::json& json = fields.json();
    const bool given = json.contains(kScoreLabels[i]) && json[kScoreLabels[i]].is_string();
    const std::string label = given ? json[kScoreLabels[i]].get<std::string>() : "";
    if (first) {
      file.labels[i] = label;
    } else if (file.labels[i] != label) {
      file.labels[i].clear();
    }
  }
}

bool any_of_question(const TextMetrics& metrics) {
  return std::any_of(metrics.metrics().begin(), metrics.metrics().end(),
                     [](const auto& metric) { return metric->form().of_question; });
}

/// What the line says of its question; of what no metric looks at, only the references.
Question question_of(const JsonFields& fields, const std::vector<std::string>& references,
                     const std::string& id, const TextMetrics& metrics) {
  const auto list = [&](const char* key) {
    return fields.has(key) ? texts_at(fields, key) : std::vector<std::string>{};
  };
  Question question{.answer = references.front(), .references = references};
  if (!any_of_question(metrics)) return question;
  question.votes = list("votes");
  question.options = list("options");
  question.categories = list("category");
  question.group = fields.has("group")     ? fields.string("group")
                   : fields.has("cluster") ? fields.string("cluster")
                                           : id;
  return question;
}

/// The lines' values by one metric; their mean is the metric's.
std::vector<double> values_of(const std::vector<const ScoredLine*>& lines, const TextMetric& metric,
                              size_t place) {
  std::vector<double> values;
  std::vector<Answered> texts;
  for (const ScoredLine* line : lines) {
    values.push_back(line->scores[place].f);
    texts.push_back({line->text, line->question});
  }
  metric.over_samples(texts, values);
  return values;
}

/// Scores a file's lines, without totals.
ScoredFile score_lines(const std::string& name, std::string_view text, const ScoredFiles& scores) {
  ScoredFile file;
  file.name = name;
  std::map<std::string, int64_t> line_of_id;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}:{}", file.name, number);
    const JsonFields fields = parse_line(line, place);
    if (!fields.has("id")) fields.fail_key("id", "is missing (a string or a number is needed)");
    const nlohmann::json& id = fields.json()["id"];
    if (!id.is_string() && !id.is_number())
      fields.fail_key("id", fmt::format("is {}, a string or a number is needed", id.dump()));
    ScoredLine scored{
        .id = id, .id_text = id.is_string() ? id.get<std::string>() : id.dump(), .scores = {}};
    const auto [earlier, is_new] = line_of_id.try_emplace(scored.id_text, number);
    if (!is_new) {
      fields.fail_key("id", fmt::format("is {} like that of line {}; ids must differ", id.dump(),
                                        earlier->second));
    }
    const std::vector<std::string> references = texts_at(fields, "reference");
    file.several_references = file.several_references || references.size() > 1;
    scored.text = fields.string("candidate");
    scored.question = question_of(fields, references, scored.id_text, scores.metrics);
    scored.scores = scores.metrics.score_answer(scored.question, scored.text);
    if (scores.per_category && fields.has("category"))
      scored.categories = texts_at(fields, "category");
    if (fields.has("cluster")) scored.cluster = fields.string("cluster");
    note_labels(fields, file.lines.empty(), file);
    file.lines.push_back(std::move(scored));
  }
  if (file.lines.empty()) fail("{}: holds no lines to score", file.name);
  return file;
}

std::vector<ScoreTotal> totals_of(const std::vector<const ScoredLine*>& lines,
                                  bool several_references, const ScoredFiles& scores) {
  const TextMetrics& metrics = scores.metrics;
  const SignatureContext context{.reference = several_references ? "best-of-given" : "given",
                                 .bootstrap = scores.bootstrap,
                                 .seed = scores.seed};
  std::vector<std::string> names;
  names.reserve(lines.size());
  for (const ScoredLine* line : lines) names.push_back(line->cluster);
  const Clusters clusters(names);
  std::vector<ScoreTotal> totals;
  for (size_t m = 0; m < metrics.names().size(); ++m) {
    const TextMetric& metric = *metrics.metrics()[m];
    const std::vector<double> f = values_of(lines, metric, m);
    ScoreTotal total;
    for (const ScoredLine* line : lines) total.undefined += line->scores[m].defined ? 0 : 1;
    total.f = estimate_mean(f, clusters);
    if (scores.bootstrap > 0) {
      total.interval =
          Bootstrap(scores.bootstrap, scores.seed).mean_interval(f, clusters, metric.form().bounds);
    }
    total.signature = metrics.signature(m, context);
    totals.push_back(std::move(total));
  }
  return totals;
}

/// Gives lines the values of what only all lines together have.
void score_together(const TextMetrics& metrics, ScoredFile& file) {
  std::vector<const ScoredLine*> all;
  for (const ScoredLine& line : file.lines) all.push_back(&line);
  for (size_t m = 0; m < metrics.metrics().size(); ++m) {
    const TextMetric& metric = *metrics.metrics()[m];
    if (!metric.form().kept.empty()) continue;
    const std::vector<double> values = values_of(all, metric, m);
    for (size_t i = 0; i < values.size(); ++i)
      file.lines[i].scores[m] = {values[i], values[i], values[i]};
  }
}

/// Fills in the file's totals.
void total_up(const ScoredFiles& scores, ScoredFile& file) {
  score_together(scores.metrics, file);
  std::vector<const ScoredLine*> all;
  std::map<std::string, std::vector<const ScoredLine*>> by_category;
  for (const ScoredLine& line : file.lines) {
    all.push_back(&line);
    const std::set<std::string> once(line.categories.begin(), line.categories.end());
    for (const std::string& category : once) by_category[category].push_back(&line);
  }
  file.totals = totals_of(all, file.several_references, scores);
  if (scores.per_category && by_category.empty())
    fail("{}: --per-category needs lines with a 'category'", file.name);
  for (const auto& [category, lines] : by_category)
    file.categories[category] = totals_of(lines, file.several_references, scores);
}

}  // namespace

void ScoredFiles::add(const std::string& name, std::string_view text) {
  for (const std::shared_ptr<const TextMetric>& metric : metrics.metrics()) {
    if (!metric->form().of_likelihood) continue;
    fail(
        "metric '{}' judges the likelihoods of options, which a sweep computes (answer_by: "
        "likelihood): a text has none",
        metric->form().name);
  }
  ScoredFile file = score_lines(name, text, *this);
  total_up(*this, file);
  files.push_back(std::move(file));
}

}  // namespace elastikv
