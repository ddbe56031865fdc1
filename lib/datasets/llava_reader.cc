#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
using Turns = std::vector<std::pair<std::string, std::string>>;

/// The conversation's turns as (question, answer) pairs; empty after noting a problem. An answer
/// that nothing needs may be empty: the last one may be left out, any may be null.
Turns turns_of(const Json& item, bool needs_answers, Draft& draft, Problems& problems) {
  const auto refused = [&](const std::string& why) {
    problems.add(ProblemKind::kItem, draft, why);
    return Turns();
  };
  if (!item.contains("conversations")) return refused("'conversations' is missing");
  const Json& conversations = item["conversations"];
  if (!conversations.is_array() || conversations.empty() ||
      (needs_answers && conversations.size() % 2 != 0))
    return refused("'conversations' needs pairs of a human's and a gpt's turn");
  Turns turns;
  for (size_t i = 0; i < conversations.size(); ++i) {
    const std::string turn = fmt::format("conversations[{}]", i);
    const char* expected = i % 2 == 0 ? "human" : "gpt";
    const auto read_value = i % 2 == 0 ? read_string : read_answer;
    std::string from;
    std::string value;
    if (!conversations[i].is_object()) return refused(turn + " is no object");
    if (!read_string(conversations[i], "from", turn + ": ", from, draft, problems)) return {};
    const bool may_lack =
        !needs_answers && i % 2 == 1 && present_key(conversations[i], {"value"}) == nullptr;
    if (!may_lack && !read_value(conversations[i], "value", turn + ": ", value, draft, problems))
      return {};
    if (from != expected)
      return refused(fmt::format("{} is from '{}', not '{}'", turn, from, expected));
    if (i % 2 == 0) {
      turns.emplace_back(std::move(value), "");
    } else {
      turns.back().second = std::move(value);
    }
  }
  return turns;
}

/// `shared`: what the turns have in common.
void read_item(const Item& item, Draft draft, const std::string& shared, const Reading& reading) {
  Turns turns = turns_of(*item.value, reading.options.needs_answers, draft, reading.problems);
  const std::string& wanted = reading.options.turn;
  const auto add_turn = [&](size_t number, bool numbered) {
    Draft one = draft;
    // Its turns are about the same images, or the same matter.
    one.shares.push_back(shared);
    if (numbered) {
      one.sample.id += fmt::format("#{}", number);
      one.where = fmt::format("{} ('{}')", item.where, one.sample.id);
    }
    one.sample.question = std::move(turns[number - 1].first);
    one.sample.answer = std::move(turns[number - 1].second);
    reading.add(std::move(one));
  };
  int64_t number = 0;
  draft.lacks_question = draft.lacks_answer = turns.empty();
  if (turns.empty()) {
    reading.add(std::move(draft));
  } else if (wanted == "first") {
    add_turn(1, /*numbered=*/false);
  } else if (wanted == "all") {
    for (size_t pair = 1; pair <= turns.size(); ++pair) add_turn(pair, /*numbered=*/true);
  } else if (parse_int(wanted, number)) {
    if (number > static_cast<int64_t>(turns.size())) {
      reading.problems.add(
          ProblemKind::kItem, draft,
          fmt::format("turn {} is asked for, the conversation has {}", number, turns.size()));
      draft.lacks_question = draft.lacks_answer = true;
      reading.add(std::move(draft));
    } else {
      add_turn(static_cast<size_t>(number), /*numbered=*/true);
    }
  }
}

void read_conversations(const std::vector<Item>& items, const Reading& reading) {
  std::unordered_set<std::string> ids;
  for (const Item& item : items) {
    Draft draft = begin_draft(item, {"id", "question_id"}, reading.text, reading.problems);
    std::string shared = "conversation:" + draft.sample.id;
    // Another conversation under the same id is no other turn of that one.
    if (!ids.insert(draft.sample.id).second) shared += fmt::format(" ({})", item.where);
    read_item(item, std::move(draft), shared, reading);
  }
}

}  // namespace

/// {id, image, conversations: [{from: human|gpt, value}, ...]}.
extern const DataFormat kLlavaFormat{
    .name = "llava",
    .looks = "items with 'conversations'",
    .is_item = [](const Json& item) { return item.contains("conversations"); },
    .read_items = read_conversations};

}  // namespace elastikv
