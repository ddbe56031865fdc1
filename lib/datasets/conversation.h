#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "datasets/draft.h"
#include "datasets/json_items.h"
#include "datasets/readers.h"

namespace elastikv {

/// DataOptions::turn of conversations that go on from turn to turn.
inline constexpr const char* kConversationTurn = "conversation";

/// A question of a conversation with what answers it, as a reader found them.
struct ConversationTurn {
  std::string question;
  size_t context_length = 0;  ///< as in Sample
  std::string answer;
  std::vector<std::string> references{};  ///< as in Sample
};

/// The question and the accepted answers that an object has under these keys. What cannot be read
/// is noted for the draft, which then lacks it.
ConversationTurn read_turn(const nlohmann::json& object, const char* question, const char* answer,
                           Draft& draft, const Reading& reading);

/// Puts a context, which may be empty, on the lines before a question.
void put_before(const std::string& context, ConversationTurn& turn);

/// What the turns of each conversation of a file have in common, by its id.
class ConversationNames {
 public:
  /// Another conversation under an id that was there is no other turn of that one.
  std::string next(const Draft& draft, const Item& item);

 private:
  std::unordered_set<std::string> ids_;
};

/// Adds those turns of an item's conversation that DataOptions::turn asks for, or a draft that
/// lacks them where there is none: the first one under the item's own id, others as "ID#k". Where
/// the conversation goes on from turn to turn, each has the turns before it; the images go to the
/// turns whose
/// `<image>` name them, or to the first one where none does. A problem where that cannot be.
/// `shared`: what the turns have in common (Draft::shares).
void add_turns(const Item& item, Draft draft, std::vector<ConversationTurn> turns,
               const std::string& shared, const Reading& reading);

}  // namespace elastikv
