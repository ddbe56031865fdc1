#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

struct Answer {
  std::shared_ptr<const Json> value;
  std::string where;
  int64_t index = 0;
};

/// The answers of a file by question_id.
std::unordered_map<std::string, Answer> read_answers(const FileText& text, Problems& problems) {
  if (!looks_like_json(text.view()))
    fail("{}: holds no JSON lines of question_id and text", problems.file());
  const JsonFile file = read_json(text.view(), problems);
  std::vector<Item> items = file.items;
  // One answer alone is one object.
  if (file.object) items.push_back({file.object, 0, "line 1", ""});
  std::unordered_map<std::string, Answer> answers;
  for (const Item& item : items) {
    const char* key = item.value->is_object() ? present_key(*item.value, {"question_id"}) : nullptr;
    if (key == nullptr) {
      problems.add(ProblemKind::kAnswers, item.where + ": 'question_id' is missing");
      continue;
    }
    const std::string id = id_text((*item.value)[key], key, item.where, problems);
    if (!id.empty() &&
        !answers.try_emplace(id, Answer{item.value, item.where, item.index}).second) {
      problems.add(ProblemKind::kRepeatedId,
                   fmt::format("{}: question {} is answered before", item.where, id));
    }
  }
  return answers;
}

}  // namespace

void read_questions(const std::vector<Item>& items, const std::filesystem::path& answers_file,
                    const Reading& reading) {
  Problems answer_problems(answers_file.string());
  std::unordered_map<std::string, Answer> answers;
  if (!answers_file.empty()) {
    const FileText text(answers_file, answer_problems);
    answers = read_answers(text, answer_problems);
  }
  std::unordered_set<std::string> asked;
  for (const Item& item : items) {
    Draft draft = begin_draft(item, {"question_id", "id"}, reading.text, reading.problems);
    draft.sample.categories = categories_of(*item.value);
    draft.lacks_question =
        !read_string(*item.value, "text", "", draft.sample.question, draft, reading.problems);
    const std::string& id = draft.sample.id;
    if (!id.empty() && !answers_file.empty()) {
      asked.insert(id);
      const auto answer = answers.find(id);
      if (answer == answers.end()) {
        draft.lacks_answer = true;
        reading.problems.add(ProblemKind::kAnswers, draft,
                             fmt::format("no answer in {}", answers_file.string()));
      } else {
        draft.lacks_answer =
            !read_answer(*answer->second.value, "text",
                         fmt::format("{}: {}: ", answers_file.string(), answer->second.where),
                         draft.sample.answer, draft, reading.problems);
      }
    }
    reading.add(std::move(draft));
  }
  // In the answers' order of lines, not of the map.
  std::vector<std::pair<int64_t, std::string>> unknown;
  for (const auto& [id, answer] : answers) {
    if (asked.contains(id)) continue;
    unknown.emplace_back(answer.index, fmt::format("{}: answers question {}, which {} has not",
                                                   answer.where, id, reading.problems.file()));
  }
  std::sort(unknown.begin(), unknown.end());
  for (auto& [index, text] : unknown) answer_problems.add(ProblemKind::kAnswers, std::move(text));
  reading.problems.add_all(answer_problems);
}

}  // namespace elastikv
