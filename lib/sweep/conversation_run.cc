#include "sweep/conversation_run.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "runtime/late_tokens.h"
#include "sweep/written_texts.h"

namespace elastikv {
namespace {

using Rows = std::vector<ConversationRow*>;

/// Does `work` for every row; where that is refused, the row has an error and leaves.
template <typename Work>
void for_each_row(Rows& rows, Work work) {
  std::erase_if(rows, [&](ConversationRow* row) {
    try {
      work(*row);
    } catch (const Error& error) {
      row->error = error.what();
    }
    return !row->error.empty();
  });
}

/// Runs what waits in the rows.
void run_waiting(const TorchModel& model, const Rows& rows) {
  std::vector<Sequence*> waiting;
  for (const ConversationRow* row : rows) {
    if (row->sequence->late().ids.empty()) continue;
    row->sequence->reserve(/*new_tokens=*/0);
    waiting.push_back(row->sequence);
  }
  if (waiting.empty()) return;
  const auto on_rows = [&](int64_t count) { model.at({"turns", "token", 0, 1, count}); };
  begin_answers(model.language(), waiting, on_rows, model.graphs());
}

/// A later turn's question, to be run behind the answer before it; its images are encoded here.
LateTokens question_of(const TorchModel& model, const Sample& sample,
                       const ConversationTokens& tokens, size_t turn) {
  const TokenizedPrompt& question = tokens.later[turn - 1].question;
  LateTokens late{question.ids, /*kept=*/true, {}};
  if (question.images.empty()) return late;
  size_t begin = 0;
  for (size_t i = 0; i < turn; ++i) begin += sample.earlier[i].images;
  const auto first = sample.images.begin() + static_cast<std::ptrdiff_t>(begin);
  late.features = model.image_features({first, first + std::ssize(question.images)});
  ELASTIKV_ASSERT(late.features.size(0) == std::ssize(question.placeholders),
                  "{} image features for {} tokens", late.features.size(0),
                  question.placeholders.size());
  for (size_t i = 0; i < question.placeholders.size(); ++i)
    late.ids[static_cast<size_t>(question.placeholders[i])] = -1 - static_cast<int64_t>(i);
  return late;
}

bool keeps_questions(const ConversationRow& row) {
  return row.cell->strategy.moment.question == QuestionEntries::kKeep;
}

/// Lets those rows write their answer to the question before them that have not yet.
void write_own(const TorchModel& model, const Sample& sample, size_t turn, int64_t max_new_tokens,
               Rows& rows) {
  Rows silent;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(silent),
               [&](ConversationRow* row) { return row->place->written.size() <= turn; });
  std::vector<Sequence> branches;
  branches.reserve(silent.size());
  for_each_row(silent, [&](ConversationRow& row) { branches.push_back(row.sequence->branch()); });
  std::vector<TextToWrite> texts;
  for (Sequence& branch : branches) texts.push_back({&branch, &sample, max_new_tokens});
  if (texts.empty()) return;
  std::vector<WrittenText> written = write_texts(model, texts);
  for (size_t i = 0; i < silent.size(); ++i)
    silent[i]->place->written.push_back(std::move(written[i].token_ids));
}

const std::string& first_content(const Sample& sample) {
  return sample.earlier.empty() ? sample.content : sample.first_content;
}

}  // namespace

bool ConversationCells::leads_to(const Sample& sample) const {
  return prefills_ != nullptr && sample.conversation == conversation_ &&
         first_content(sample) == first_content_ &&
         std::all_of(cells_.begin(), cells_.end(),
                     [&](const Kept& cell) { return cell.place.answers <= sample.earlier.size(); });
}

void ConversationCells::begin(const Sample& sample, std::shared_ptr<Prefills> prefills,
                              size_t cells) {
  forget();
  conversation_ = sample.conversation;
  first_content_ = first_content(sample);
  prefills_ = std::move(prefills);
  cells_.resize(cells);
}

const Sequence* ConversationCells::sequence(size_t cell) const {
  return cells_[cell].sequence ? &*cells_[cell].sequence : nullptr;
}

void ConversationCells::put(size_t cell, const Sequence& sequence, ConversationPlace place) {
  cells_[cell].sequence.reset();
  cells_[cell].sequence.emplace(sequence.branch());
  cells_[cell].place = std::move(place);
}

void ConversationCells::wrote(size_t cell, std::vector<int64_t> tokens) {
  ConversationPlace& place = cells_[cell].place;
  if (cells_[cell].sequence && place.written.size() == place.answers)
    place.written.push_back(std::move(tokens));
}

void ConversationCells::forget() {
  cells_.clear();
  prefills_.reset();
  conversation_.clear();
}

void run_turns_before(const TorchModel& model, const Sample& sample,
                      const ConversationTokens& tokens, int64_t max_new_tokens,
                      std::vector<ConversationRow>& rows) {
  const bool own = sample.history == HistoryAnswers::kOwn;
  for (size_t turn = 0; turn < tokens.later.size(); ++turn) {
    Rows here;
    for (ConversationRow& row : rows) {
      if (row.error.empty() && row.place->answers == turn) here.push_back(&row);
    }
    if (turn > 0 && !here.empty()) {
      LateTokens question = question_of(model, sample, tokens, turn);
      for_each_row(here, [&](ConversationRow& row) {
        question.kept = keeps_questions(row);
        row.sequence->go_on(question);
      });
    }
    run_waiting(model, here);
    if (own) write_own(model, sample, turn, max_new_tokens, here);
    for_each_row(here, [&](ConversationRow& row) {
      const std::vector<int64_t>& answer =
          own ? row.place->written[turn] : tokens.later[turn].answer;
      row.sequence->go_on({answer, /*kept=*/false, {}});
      if (model.settings().one_pass && !answer.empty()) row.sequence->foresee(std::ssize(answer));
    });
    run_waiting(model, here);
    for (ConversationRow* row : here) ++row->place->answers;
  }
}

void ask_question(const TorchModel& model, const Sample& sample, const ConversationTokens& tokens,
                  int64_t new_tokens, std::vector<ConversationRow>& rows) {
  LateTokens question = question_of(model, sample, tokens, tokens.later.size());
  Rows all;
  for (ConversationRow& row : rows) {
    if (row.error.empty()) all.push_back(&row);
  }
  for_each_row(all, [&](ConversationRow& row) {
    const int64_t room = model.reader().summary().max_positions;
    const int64_t length = row.sequence->tokens_seen() + std::ssize(question.ids);
    if (length + new_tokens > room) {
      fail(
          "the conversation of sample '{}' has {} tokens and up to {} more follow, but the "
          "model's context is {}",
          sample.id, length, new_tokens, room);
    }
    question.kept = keeps_questions(row);
    row.sequence->go_on(question);
  });
}

}  // namespace elastikv
