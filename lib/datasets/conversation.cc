#include "datasets/conversation.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/fields.h"
#include "datasets/file_text.h"
#include "datasets/item_fields.h"
#include "datasets/sample.h"

namespace elastikv {
namespace {

/// How many images each turn shows. Empty after noting that the conversation places another number
/// of them than there are.
std::vector<size_t> images_of(const std::vector<ConversationTurn>& turns, Draft& draft,
                              Problems& problems) {
  std::vector<size_t> images;
  size_t places = 0;
  for (const ConversationTurn& turn : turns) {
    images.push_back(places_in(turn.question));
    places += images.back();
  }
  const size_t named = draft.images.size();
  if (places == 0) {
    images.front() = named;
  } else if (places != named && !draft.lacks_images) {
    problems.add(ProblemKind::kPlaces, draft,
                 named == 0 ? "the conversation has <image>, but the item names no image"
                            : fmt::format("the conversation has <image> {} times, the item names "
                                          "{} image{}",
                                          places, named, named == 1 ? "" : "s"));
    return {};
  }
  return images;
}

/// A turn of an item's conversation as a sample, under its number or under the item's own id.
Draft draft_of(const Item& item, const Draft& conversation, const ConversationTurn& turn,
               std::optional<size_t> number) {
  Draft one = conversation;
  if (number) {
    one.sample.id += fmt::format("#{}", *number);
    one.where = fmt::format("{} ('{}')", item.where, one.sample.id);
  }
  one.sample.question = turn.question;
  one.sample.context_length = turn.context_length;
  one.sample.answer = turn.answer;
  one.sample.references = turn.references;
  return one;
}

/// Adds all turns, each with those before it.
void add_conversation(const Item& item, Draft draft, std::vector<ConversationTurn> turns,
                      const Reading& reading) {
  const std::vector<size_t> images = images_of(turns, draft, reading.problems);
  if (images.empty()) {
    draft.lacks_question = draft.lacks_answer = draft.lacks_images = true;
    return reading.add(std::move(draft));
  }
  const std::vector<ImageSource> all = std::move(draft.images);
  draft.images.clear();
  draft.sample.history = reading.options.history;
  draft.sample.recompress = reading.options.recompress;
  for (size_t k = 0; k < turns.size(); ++k) {
    const size_t before = draft.images.size();
    for (size_t i = before; i < before + images[k] && i < all.size(); ++i)
      draft.images.push_back(all[i]);
    Draft one = draft_of(item, draft, turns[k], k + 1);
    one.sample.turn = static_cast<int64_t>(k) + 1;
    const bool unanswered =
        std::any_of(draft.sample.earlier.begin(), draft.sample.earlier.end(),
                    [](const EarlierTurn& turn) { return is_blank(turn.answer); });
    if (unanswered && draft.sample.history == HistoryAnswers::kReference && !draft.lacks_answer) {
      reading.problems.add(ProblemKind::kItem, one,
                           "an earlier question has no answer to go on from (history: own goes on "
                           "from what is written)");
    }
    reading.add(std::move(one));
    draft.sample.earlier.push_back({std::move(turns[k].question), turns[k].context_length,
                                    std::move(turns[k].answer), std::move(turns[k].references),
                                    images[k]});
  }
}

}  // namespace

std::string_view history_answers_name(HistoryAnswers history) {
  return history == HistoryAnswers::kOwn ? "own" : "reference";
}

std::string_view recompress_name(Recompress recompress) {
  return recompress == Recompress::kNever ? "never" : "first_turn";
}

Sample first_turn(const Sample& sample) {
  Sample first = sample;
  if (sample.earlier.empty()) return first;
  const EarlierTurn& turn = sample.earlier.front();
  first.question = turn.question;
  first.context_length = turn.context_length;
  first.answer = turn.answer;
  first.references = turn.references;
  first.images.resize(std::min(turn.images, first.images.size()));
  first.turn = 1;
  first.earlier.clear();
  first.content = std::move(first.first_content);
  first.first_content.clear();
  return first;
}

ConversationTurn read_turn(const nlohmann::json& object, const char* question, const char* answer,
                           Draft& draft, const Reading& reading) {
  ConversationTurn turn;
  if (!read_string(object, question, "", turn.question, draft, reading.problems))
    draft.lacks_question = true;
  Draft answered = draft;
  accept_answers(object, answer, reading.options.needs_answers, answered, reading.problems);
  turn.answer = std::move(answered.sample.answer);
  turn.references = std::move(answered.sample.references);
  draft.lacks_answer = draft.lacks_answer || answered.lacks_answer;
  draft.sample.problem = std::move(answered.sample.problem);
  return turn;
}

void put_before(const std::string& context, ConversationTurn& turn) {
  if (context.empty()) return;
  turn.context_length = context.size() + 1;
  turn.question = fmt::format("{}\n{}", context, turn.question);
}

std::string ConversationNames::next(const Draft& draft, const Item& item) {
  const std::string& id = draft.sample.id;
  return ids_.insert(id).second ? "conversation:" + id
                                : fmt::format("conversation:{} ({})", id, item.where);
}

void add_turns(const Item& item, Draft draft, std::vector<ConversationTurn> turns,
               const std::string& shared, const Reading& reading) {
  if (turns.empty()) {
    draft.lacks_question = draft.lacks_answer = true;
    return reading.add(std::move(draft));
  }
  const std::string& wanted = reading.options.turn;
  // Its turns are about the same images, or the same matter.
  draft.shares.push_back(shared);
  if (wanted == kConversationTurn) {
    draft.sample.conversation = shared;
    return add_conversation(item, std::move(draft), std::move(turns), reading);
  }
  const auto add_turn = [&](size_t number, bool numbered) {
    reading.add(
        draft_of(item, draft, turns[number - 1], numbered ? std::optional(number) : std::nullopt));
  };
  int64_t number = 0;
  if (wanted == "first") {
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

}  // namespace elastikv
