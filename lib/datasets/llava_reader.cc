#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "datasets/conversation.h"
#include "datasets/item_fields.h"
#include "datasets/readers.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;
using Turns = std::vector<ConversationTurn>;

/// The keys of an entry.
struct EntryKeys {
  const char* from;   // who speaks
  const char* value;  // what is said
};
EntryKeys keys_of(const Json& entry) {
  if (!entry.contains("from") && entry.contains("role")) return {"role", "content"};
  return {"from", "value"};
}

/// LLaVA's names of who speaks: MMDU's, and those of chat messages, mean the same.
std::string speaker(const std::string& from) {
  if (from == "user") return "human";
  return from == "assistant" ? "gpt" : from;
}

/// MMDU's placeholder of an image as ours.
void spell_images(std::string& question) {
  constexpr std::string_view kTheirs = "<ImageHere>";
  for (size_t at = question.find(kTheirs); at != std::string::npos; at = question.find(kTheirs, at))
    question.replace(at, kTheirs.size(), "<image>");
}

/// The conversation's turns; empty after noting a problem. An answer that nothing needs may be
/// empty: the last one may be left out, any may be null.
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
    const EntryKeys keys = keys_of(conversations[i]);
    if (!read_string(conversations[i], keys.from, turn + ": ", from, draft, problems)) return {};
    const bool may_lack =
        !needs_answers && i % 2 == 1 && present_key(conversations[i], {keys.value}) == nullptr;
    if (!may_lack && !read_value(conversations[i], keys.value, turn + ": ", value, draft, problems))
      return {};
    if (speaker(from) != expected)
      return refused(fmt::format("{} is from '{}', not '{}'", turn, from, expected));
    if (i % 2 == 0) {
      spell_images(value);
      turns.push_back({.question = std::move(value), .answer = ""});
    } else {
      turns.back().answer = std::move(value);
    }
  }
  return turns;
}

void read_conversations(const std::vector<Item>& items, const Reading& reading) {
  ConversationNames names;
  for (const Item& item : items) {
    Draft draft = begin_draft(item, {"id", "question_id"}, reading.text, reading.problems);
    const std::string shared = names.next(draft, item);
    Turns turns = turns_of(*item.value, reading.options.needs_answers, draft, reading.problems);
    add_turns(item, std::move(draft), std::move(turns), shared, reading);
  }
}

/// Whether an object's values are conversations, as MMDU's are.
bool has_conversations(const Json& object) {
  return std::any_of(object.begin(), object.end(), [](const Json& value) {
    return value.is_object() && value.contains("conversations");
  });
}

void read_entries_of_conversations(const std::shared_ptr<const Json>& object,
                                   const Reading& reading) {
  std::vector<Item> entries = read_entries(reading.text.view(), object, reading.problems);
  read_conversations(objects_among(std::move(entries), reading.problems), reading);
}

}  // namespace

/// {id, image, conversations: [{from: human|gpt, value}, ...]}, or an object of such entries
/// (MMDU); speakers may be called user and assistant, and entries {role, content}.
extern const DataFormat kLlavaFormat{
    .name = "llava",
    .looks = "items with 'conversations'",
    .is_object = has_conversations,
    .read_object = read_entries_of_conversations,
    .is_item = [](const Json& item) { return item.contains("conversations"); },
    .read_items = read_conversations};

}  // namespace elastikv
