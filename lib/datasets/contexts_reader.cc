#include <algorithm>
#include <cstddef>
#include <string>
#include <unordered_map>
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

/// Questions by themselves are another format's; CLEVR's file, say, is an object with a list.
bool is_context(const Json& item) {
  return item.contains("questions") && item["questions"].is_array() &&
         (item.contains("context") || image_key(item) != nullptr);
}

/// A context as an item first gave it.
struct Known {
  std::vector<ImageSource> images;
  std::string text;
  std::string where;
  size_t questions = 0;  // so far
};

bool same_images(const std::vector<ImageSource>& a, const std::vector<ImageSource>& b) {
  const auto same = [](const ImageSource& one, const ImageSource& other) {
    return one.names == other.names && one.embedded == other.embedded;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

/// The questions as objects with what is expected of each; empty after noting a problem.
std::vector<Json> questions_of(const Json& item, bool needs_answers, Draft& draft,
                               Problems& problems) {
  const auto refused = [&](const std::string& why) {
    problems.add(ProblemKind::kItem, draft, why);
    return std::vector<Json>();
  };
  if (!item.contains("questions") || !item["questions"].is_array() || item["questions"].empty())
    return refused("'questions' is no list of at least one");
  const Json& questions = item["questions"];
  const bool apart = present_key(item, {"answers"}) != nullptr;
  if (apart && !item["answers"].is_array()) {
    return refused(
        fmt::format("'answers' is of type {}, a list with one for each question is "
                    "needed",
                    item["answers"].type_name()));
  }
  if (apart && item["answers"].size() != questions.size()) {
    if (needs_answers) {
      return refused(fmt::format("'answers' has {} for {} questions", item["answers"].size(),
                                 questions.size()));
    }
  }
  std::vector<Json> all;
  for (size_t i = 0; i < questions.size(); ++i) {
    if (!questions[i].is_string() && !questions[i].is_object()) {
      return refused(fmt::format("questions[{}] is of type {}, a text or an object is needed", i,
                                 questions[i].type_name()));
    }
    Json one = questions[i].is_object() ? questions[i] : Json{{"question", questions[i]}};
    if (apart && i < item["answers"].size() && answer_key(one) == nullptr)
      one["answer"] = item["answers"][i];
    all.push_back(std::move(one));
  }
  return all;
}

/// Adds a sample for each question of a context, numbered on from those of the same context before.
void read_context(const Item& item, std::unordered_map<std::string, Known>& contexts,
                  const Reading& reading) {
  Problems& problems = reading.problems;
  Draft draft = begin_draft(item, {"id", "context_id", "question_id"}, reading.text, problems);
  const std::string id = draft.sample.id;
  std::string context;
  bool sound = true;
  if (present_key(*item.value, {"context"}) != nullptr)
    sound = read_string(*item.value, "context", "", context, draft, problems);
  Known& known = contexts[id];
  if (known.questions == 0) {
    known = {draft.images, context, item.where};
  } else if (!same_images(known.images, draft.images)) {
    problems.add(ProblemKind::kItem, draft,
                 fmt::format("names other images than {}, which is the same context by its id",
                             known.where));
    sound = false;
  } else if (known.text != context) {
    problems.add(
        ProblemKind::kItem, draft,
        fmt::format("has another text than {}, which is the same context by its id", known.where));
    sound = false;
  }
  const std::vector<Json> questions =
      questions_of(*item.value, reading.options.needs_answers, draft, problems);
  if (reading.options.turn == kConversationTurn && sound && !questions.empty()) {
    std::vector<ConversationTurn> turns;
    for (const Json& question : questions) {
      const char* key = question_key(question);
      const char* answer = answer_key(question);
      turns.push_back(read_turn(question, key == nullptr ? "question" : key,
                                answer == nullptr ? "answer" : answer, draft, reading));
    }
    put_before(context, turns.front());
    return add_turns(item, std::move(draft), std::move(turns),
                     fmt::format("context:{} ({})", id, item.where), reading);
  }
  draft.shares.push_back("context:" + id);
  const std::vector<std::string> categories = categories_of(*item.value);
  if (questions.empty() || !sound) draft.lacks_question = draft.lacks_answer = true;
  if (questions.empty()) {
    draft.sample.id += fmt::format("#{}", ++known.questions);
    return reading.add(std::move(draft));
  }
  for (const Json& question : questions) {
    Draft one = draft;
    one.sample.id = fmt::format("{}#{}", id, ++known.questions);
    one.where = fmt::format("{} ('{}')", item.where, one.sample.id);
    one.sample.categories = categories_of(question);
    if (one.sample.categories.empty()) one.sample.categories = categories;
    if (!one.lacks_question) {
      const char* key = question_key(question);
      const char* answer = answer_key(question);
      std::string text;
      one.lacks_question =
          !read_string(question, key == nullptr ? "question" : key, "", text, one, problems);
      accept_answers(question, answer == nullptr ? "answer" : answer, reading.options.needs_answers,
                     one, problems);
      if (!context.empty()) one.sample.context_length = context.size() + 1;
      one.sample.question = context.empty() ? text : fmt::format("{}\n{}", context, text);
    }
    reading.add(std::move(one));
  }
}

void read_contexts(const std::vector<Item>& items, const Reading& reading) {
  std::unordered_map<std::string, Known> contexts;
  for (const Item& item : items) read_context(item, contexts, reading);
}

}  // namespace

/// {id, image, context, questions: [...], answers: [...]}: several questions about one context,
/// which is images, a text, or both. A question is a text, whose answer has the same place in
/// `answers`, or an object of question and answer as in "qa".
extern const DataFormat kContextsFormat{.name = "contexts",
                                        .looks = "items with 'questions' and an image or 'context'",
                                        .is_item = is_context,
                                        .read_items = read_contexts};

}  // namespace elastikv
