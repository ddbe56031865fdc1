#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/sample.h"
#include "runtime/conversation_tokens.h"
#include "runtime/sequence.h"
#include "sweep/cell.h"
#include "sweep/prefills.h"
#include "sweep/torch_model.h"

namespace elastikv {

/// How far a cell's conversation has come.
struct ConversationPlace {
  size_t answers = 0;  ///< of its turns' answers, how many the sequence has run
  /// What the cell wrote to its first questions, as token ids, as far as that is known.
  std::vector<std::vector<int64_t>> written{};
};

/// The cells of a conversation behind the last turn that was evaluated, so that the next one goes
/// on from there. Where nothing is kept all turns before are run again, which gives the same.
class ConversationCells final {
 public:
  /// Whether this is where a sample's turn goes on from.
  bool leads_to(const Sample& sample) const;
  /// Begins another conversation.
  void begin(const Sample& sample, std::shared_ptr<Prefills> prefills, size_t cells);

  const std::shared_ptr<Prefills>& prefills() const { return prefills_; }
  /// A cell's sequence as it was left, and where that is; null: not known.
  const Sequence* sequence(size_t cell) const;
  const ConversationPlace& place(size_t cell) const { return cells_[cell].place; }
  /// Keeps a branch of a sequence that stands at a place.
  void put(size_t cell, const Sequence& sequence, ConversationPlace place);
  /// Takes note of what a cell wrote to the question behind its place.
  void wrote(size_t cell, std::vector<int64_t> tokens);
  void forget();

 private:
  struct Kept {
    std::optional<Sequence> sequence;
    ConversationPlace place;
  };

  std::string conversation_;
  std::string first_content_;
  std::shared_ptr<Prefills> prefills_;  // which the sequences refer to
  std::vector<Kept> cells_;
};

/// A cell's sequence on its way to a turn.
struct ConversationRow {
  const Cell* cell = nullptr;
  Sequence* sequence = nullptr;
  ConversationPlace* place = nullptr;
  std::string error{};  ///< why it cannot get there; empty: it is there
};

/// Runs all turns before a sample's question in every row, as far as that is still to be done, as
/// one batch: each question, and the answer to it, the data set's or what the row writes. They
/// then stand behind the last answer.
void run_turns_before(const TorchModel& model, const Sample& sample,
                      const ConversationTokens& tokens, int64_t max_new_tokens,
                      std::vector<ConversationRow>& rows);
/// Puts the sample's question behind that, to be run before anything else (Sequence::late). A row
/// with no room for it and `new_tokens` more has an error.
void ask_question(const TorchModel& model, const Sample& sample, const ConversationTokens& tokens,
                  int64_t new_tokens, std::vector<ConversationRow>& rows);

}  // namespace elastikv
