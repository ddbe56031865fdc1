#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

bool is_question(const Json& item) {
  return item.contains("text") && (item.contains("question_id") || image_key(item) != nullptr);
}

/// LLaVA-Bench's own answers lie beside its questions.
fs::path bench_answers(const fs::path& questions) {
  return questions.parent_path() / "answers_gpt4.jsonl";
}

/// Questions in a folder as LLaVA-Bench is published.
bool is_bench(const fs::path& questions) {
  return fs::exists(bench_answers(questions)) ||
         fs::exists(questions.parent_path() / "context.jsonl");
}

struct Answer {
  std::shared_ptr<const Json> value;
  std::string where;
  int64_t index = 0;
};

/// The answers of a file by question_id, those to the same id in the file's order.
using Answers = std::unordered_map<std::string, std::vector<Answer>>;

Answers read_answers(const FileText& text, Problems& problems) {
  if (!looks_like_json(text.view()))
    fail("{}: holds no JSON lines of question_id and text", problems.file());
  const JsonFile file = read_json(text.view(), problems);
  std::vector<Item> items = file.items;
  // One answer alone is one object.
  if (file.object) items.push_back({file.object, 0, "line 1", ""});
  Answers answers;
  for (const Item& item : items) {
    const char* key = item.value->is_object() ? present_key(*item.value, {"question_id"}) : nullptr;
    if (key == nullptr) {
      problems.add(ProblemKind::kAnswers, item.where + ": 'question_id' is missing");
      continue;
    }
    const std::string id = id_text((*item.value)[key], key, item.where, problems);
    if (!id.empty()) answers[id].push_back({item.value, item.where, item.index});
  }
  return answers;
}

/// Which of as many answers belongs to each of the questions that share an id: the one whose
/// `prompt` is the question, as LLaVA's evaluation of TextVQA finds it; the rest in order.
std::vector<const Answer*> pair_up(const std::vector<const std::string*>& questions,
                                   const std::vector<Answer>& answers) {
  std::vector<const Answer*> paired(questions.size(), nullptr);
  std::vector<bool> used(answers.size(), false);
  const auto take = [&](size_t question, const auto& fits) {
    for (size_t i = 0; i < answers.size() && paired[question] == nullptr; ++i) {
      if (used[i] || !fits(answers[i])) continue;
      used[i] = true;
      paired[question] = &answers[i];
    }
  };
  for (size_t q = 0; q < questions.size(); ++q) {
    take(q, [&](const Answer& answer) {
      const auto prompt = answer.value->find("prompt");
      return prompt != answer.value->end() && prompt->is_string() &&
             prompt->get_ref<const std::string&>() == *questions[q];
    });
  }
  for (size_t q = 0; q < questions.size(); ++q) take(q, [](const Answer&) { return true; });
  return paired;
}

/// Gives questions the answers of another file.
class Joiner {
 public:
  Joiner(const fs::path& file, const Reading& reading)
      : reading_(reading), problems_(file.string()), text_(file, problems_) {
    answers_ = read_answers(text_, problems_);
  }

  void join(std::vector<Draft>& drafts) {
    std::unordered_map<std::string, std::vector<Draft*>> asked;
    std::vector<std::string> order;
    for (Draft& draft : drafts) {
      if (draft.sample.id.empty()) continue;
      std::vector<Draft*>& same = asked[draft.sample.id];
      if (same.empty()) order.push_back(draft.sample.id);
      same.push_back(&draft);
    }
    for (const std::string& id : order) answer(asked.at(id), answers_[id]);
    note_unknown(asked);
    reading_.problems.add_all(problems_);
  }

 private:
  void answer(const std::vector<Draft*>& questions, const std::vector<Answer>& answers) {
    // Without numbers there is one question of an id, and one answer.
    if (questions.size() == 1 || reading_.options.ids == RepeatedIds::kRefuse) {
      for (size_t i = 1; i < answers.size(); ++i) {
        problems_.add(ProblemKind::kRepeatedId,
                      fmt::format("{}: question {} is answered before", answers[i].where,
                                  questions.front()->sample.id));
      }
      for (Draft* draft : questions) take(*draft, answers.empty() ? nullptr : &answers.front());
      return;
    }
    if (questions.size() != answers.size() && !answers.empty()) {
      for (Draft* draft : questions) {
        lack(*draft, fmt::format("{} has {} answer{} to the {} questions with this id, which pair "
                                 "up only where there are as many",
                                 problems_.file(), answers.size(), answers.size() == 1 ? "" : "s",
                                 questions.size()));
      }
      return;
    }
    std::vector<const std::string*> texts;
    for (const Draft* draft : questions) texts.push_back(&draft->sample.question);
    const std::vector<const Answer*> paired = pair_up(texts, answers);
    for (size_t i = 0; i < questions.size(); ++i) take(*questions[i], paired[i]);
  }

  void take(Draft& draft, const Answer* answer) {
    if (answer == nullptr) {
      lack(draft, fmt::format("no answer in {}", problems_.file()));
      return;
    }
    const std::string prefix = fmt::format("{}: {}: ", problems_.file(), answer->where);
    Problems ignored(problems_.file());
    Draft nobody;
    const bool needed = reading_.options.needs_answers;
    draft.lacks_answer =
        !read_answer(*answer->value, "text", prefix, draft.sample.answer, needed ? draft : nobody,
                     needed ? reading_.problems : ignored);
  }

  void lack(Draft& draft, const std::string& why) {
    draft.lacks_answer = true;
    if (reading_.options.needs_answers) reading_.problems.add(ProblemKind::kAnswers, draft, why);
  }

  void note_unknown(const std::unordered_map<std::string, std::vector<Draft*>>& asked) {
    // In the answers' order of lines, not of the map.
    std::vector<std::pair<int64_t, std::string>> unknown;
    for (const auto& [id, answers] : answers_) {
      if (asked.contains(id)) continue;
      for (const Answer& answer : answers) {
        unknown.emplace_back(answer.index, fmt::format("{}: answers question {}, which {} has not",
                                                       answer.where, id, reading_.problems.file()));
      }
    }
    std::sort(unknown.begin(), unknown.end());
    for (auto& [index, text] : unknown) problems_.add(ProblemKind::kAnswers, std::move(text));
  }

  const Reading& reading_;
  Problems problems_;
  const FileText text_;
  Answers answers_;
};

/// The file with the answers of questions: the one that the options name, or that lies `beside`
/// them; none where the questions have answers themselves or need none.
fs::path answers_of(const std::vector<Item>& items, const fs::path& beside, const char* format,
                    const Reading& reading) {
  const DataOptions& options = reading.options;
  if (!options.answers.empty()) return options.answers;
  if (!beside.empty() && fs::exists(beside)) return beside;
  const bool own = std::any_of(items.begin(), items.end(),
                               [](const Item& item) { return answer_key(*item.value) != nullptr; });
  if (options.needs_answers && !own) {
    fail(
        "{}: questions without answers ({}): perplexity needs 'answers', a file of JSON lines with "
        "question_id and text such as LLaVA's answers_gpt4.jsonl",
        reading.problems.file(), format);
  }
  return {};
}

/// Questions with the answers of another file; no file: with those they have themselves.
void read_questions(const std::vector<Item>& items, const fs::path& answers_file,
                    const Reading& reading) {
  std::optional<Joiner> joiner;
  if (!answers_file.empty()) joiner.emplace(answers_file, reading);
  std::vector<Draft> drafts;
  for (const Item& item : items) {
    Draft draft = begin_draft(item, {"question_id", "id"}, reading.text, reading.problems);
    draft.sample.categories = categories_of(*item.value);
    draft.lacks_question =
        !read_string(*item.value, "text", "", draft.sample.question, draft, reading.problems);
    if (!joiner) {
      const char* key = answer_key(*item.value);
      accept_answers(*item.value, key == nullptr ? "answer" : key, reading.options.needs_answers,
                     draft, reading.problems);
    }
    drafts.push_back(std::move(draft));
  }
  if (joiner) joiner->join(drafts);
  for (Draft& draft : drafts) reading.add(std::move(draft));
}

void read_llava_bench(const std::vector<Item>& items, const Reading& reading) {
  const fs::path answers =
      answers_of(items, bench_answers(reading.options.path), "llava-bench", reading);
  read_questions(items, answers, reading);
}

void read_llava_questions(const std::vector<Item>& items, const Reading& reading) {
  read_questions(items, answers_of(items, /*beside=*/{}, "llava-questions", reading), reading);
}

}  // namespace

/// LLaVA-Bench's folder: questions as below, which has answers beside them.
extern const DataFormat kLlavaBenchFormat{
    .name = "llava-bench", .read_items = read_llava_bench, .takes_answers = true};

/// {question_id, image, text, category}, with the answers of another file or their own (POPE's
/// label).
extern const DataFormat kLlavaQuestionsFormat{
    .name = "llava-questions",
    .looks = "items with 'question_id' and 'text'",
    .is_item = is_question,
    .read_items = read_llava_questions,
    .narrowed = [](const fs::path& file) { return is_bench(file) ? &kLlavaBenchFormat : nullptr; },
    .takes_answers = true};

}  // namespace elastikv
