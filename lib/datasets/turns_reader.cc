#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "datasets/conversation.h"
#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

bool is_list(const Json& item, const char* key) {
  const auto found = item.find(key);
  return found != item.end() && found->is_array();
}

/// The key of MT-Bench's questions; null without any.
const char* list_of_questions(const Json& item) {
  for (const char* key : {"turns", "prompt"}) {
    if (is_list(item, key)) return key;
  }
  return nullptr;
}

bool is_conversation(const Json& item) {
  return is_list(item, "multi_turns") || list_of_questions(item) != nullptr;
}

using Turns = std::vector<ConversationTurn>;

/// SCBench's turns: objects of what is asked and what answers it.
Turns turns_of_objects(const Json& item, Draft& draft, const Reading& reading) {
  Turns turns;
  for (const Json& entry : item["multi_turns"]) {
    if (!entry.is_object()) {
      reading.problems.add(ProblemKind::kItem, draft,
                           fmt::format("multi_turns[{}] is of type {}, an object is needed",
                                       turns.size(), entry.type_name()));
      return {};
    }
    const char* question = present_key(entry, {"input", "question"});
    const char* answer = answer_key(entry);
    turns.push_back(read_turn(entry, question == nullptr ? "input" : question,
                              answer == nullptr ? "answer" : answer, draft, reading));
  }
  return turns;
}

/// MT-Bench's turns: a list of questions, and one of what answers them, which many items lack.
Turns turns_of_lists(const Json& item, Draft& draft, const Reading& reading) {
  const auto refused = [&](const std::string& why) {
    reading.problems.add(ProblemKind::kItem, draft, why);
    return Turns();
  };
  const char* key = list_of_questions(item);
  if (key == nullptr) return refused("has neither 'multi_turns' nor a list 'turns' or 'prompt'");
  const Json& questions = item[key];
  const char* answers = present_key(item, {"reference", "answers"});
  const bool answered = answers != nullptr && is_list(item, answers);
  if (reading.options.needs_answers && (!answered || item[answers].size() != questions.size())) {
    return refused(answers == nullptr
                       ? fmt::format("'{}' has {} questions, and 'reference', which answers them, "
                                     "is missing",
                                     key, questions.size())
                       : fmt::format("'{}' has {} for {} questions", answers,
                                     answered ? item[answers].size() : 1, questions.size()));
  }
  Turns turns;
  for (size_t i = 0; i < questions.size(); ++i) {
    Json entry{{"question", questions[i]}};
    if (answered && i < item[answers].size()) entry["answer"] = item[answers][i];
    turns.push_back(read_turn(entry, "question", "answer", draft, reading));
  }
  return turns;
}

void read_turns(const std::vector<Item>& items, const Reading& reading) {
  ConversationNames names;
  for (const Item& item : items) {
    Draft draft =
        begin_draft(item, {"id", "question_id", "prompt_id"}, reading.text, reading.problems);
    const Json& value = *item.value;
    std::string context;
    if (present_key(value, {"context"}) != nullptr)
      read_string(value, "context", "", context, draft, reading.problems);
    Turns turns = is_list(value, "multi_turns") ? turns_of_objects(value, draft, reading)
                                                : turns_of_lists(value, draft, reading);
    draft.sample.categories = categories_of(value);
    if (turns.empty() && draft.sample.problem.empty())
      reading.problems.add(ProblemKind::kItem, draft, "its list of turns is empty");
    for (ConversationTurn& turn : turns) {
      put_before(context, turn);
      if (reading.options.turn == kConversationTurn) break;  // what was read stays there
    }
    const std::string shared = names.next(draft, item);
    add_turns(item, std::move(draft), std::move(turns), shared, reading);
  }
}

}  // namespace

/// {id, context, multi_turns: [{input, answer}, ...]} (SCBench), or {question_id, turns: [...],
/// reference: [...]} (MT-Bench; `prompt` for `turns` in its copy on Hugging Face).
extern const DataFormat kTurnsFormat{
    .name = "turns",
    .looks = "items with 'multi_turns', or a list 'turns' or 'prompt'",
    .is_item = is_conversation,
    .read_items = read_turns};

}  // namespace elastikv
