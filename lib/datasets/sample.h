#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"

namespace elastikv {

/// An option of a multiple choice whose likelihood is computed.
struct ScoredOption {
  char letter = 'A';
  std::string text;  ///< what a model is to say: never empty
};

/// Whose answers a conversation goes on from.
enum class HistoryAnswers {
  kReference,  ///< the data set's
  kOwn,        ///< those that the cell itself wrote
};
/// "reference" or "own".
std::string_view history_answers_name(HistoryAnswers history);

/// What becomes of the cache of a conversation after it was compressed for the first turn.
enum class Recompress {
  kFirstTurn,  ///< the generation policy goes on as in one long answer
  kNever,      ///< nothing is evicted any more: later turns, and answers, come on top of it
};
/// "first_turn" or "never".
std::string_view recompress_name(Recompress recompress);

/// A turn of a conversation before the one that a sample asks; members as in Sample.
struct EarlierTurn {
  std::string question;
  size_t context_length = 0;
  std::string answer;
  std::vector<std::string> references{};
  size_t images = 0;  ///< how many of the sample's images it shows, behind those of earlier turns
};

/// One question with its expected answer, about images or about text alone.
struct Sample {
  /// Unique in its data set; for one of several turns of a conversation "ID#k", k counted from 1,
  /// and for the k-th item of a file that repeats an id (RepeatedIds::kNumber).
  std::string id;
  /// The images' files; none when the sample is text alone.
  std::vector<ImageFile> images;
  /// The user's words. May hold the placeholder "<image>" once for each image, which fixes where
  /// they go; without any the prompt format decides.
  std::string question;
  /// Bytes at the beginning of `question` that are its context: a text that the question is about,
  /// as a document is, which could be read before anything is asked. 0: the data set has none.
  size_t context_length = 0;
  /// What the model's answer begins with, which it does not write itself.
  std::string answer_prefix;
  /// The expected answer: what perplexity scores. Never empty unless the sample has a problem or
  /// DataOptions::needs_answers is off.
  std::string answer;
  /// All accepted answers where a data set gives several (captions, alternatives): what a text is
  /// compared with; its score is the best one. `answer` is among them, unless it is MM-Vet's text
  /// with the alternatives written into it. Empty: `answer` alone.
  std::vector<std::string> references;
  /// The answers that people gave to it, equal ones as often as they were given, for metrics that
  /// count votes; empty where the data set has no such list.
  std::vector<std::string> votes;
  /// The texts of a multiple choice, A first; a letter without a text is empty. Empty: none, or
  /// they stand in the question alone.
  std::vector<std::string> options;
  /// The options of which the likeliest answers the question, A first, at least two. Empty: a
  /// generated text answers it.
  std::vector<ScoredOption> scored_options;
  /// Of a turn of a conversation that goes on from turn to turn: its number from 1; 0: of none.
  int64_t turn = 0;
  /// What conversation that is: the same for its turns, and for no other's of the data set.
  std::string conversation;
  /// The turns before it, the first one first; its images begin with theirs.
  std::vector<EarlierTurn> earlier;
  /// Whose answers to these.
  HistoryAnswers history = HistoryAnswers::kReference;
  /// What becomes of its cache.
  Recompress recompress = Recompress::kFirstTurn;
  /// `content` of the first turn; empty where this is the first.
  std::string first_content;
  /// What questions have in common that are judged together (MME's two of an image), where the data
  /// set says it: as a rule their cluster.
  std::string group;
  /// What the data set sorts the sample under (MM-Vet's capabilities, LLaVA-Bench's category), for
  /// tables by category; empty where it says nothing.
  std::vector<std::string> categories;
  /// For a window of tokens: exactly these ids, nothing around them and nothing tokenized again.
  /// `question` and `answer` are then their text, for reading. Empty for all other samples.
  std::vector<int64_t> prompt_ids;
  std::vector<int64_t> answer_ids;

  /// Where the text to it ends, if its data set says so: after so many tokens, and at these texts.
  std::optional<int64_t> max_new_tokens;
  std::vector<std::string> stop;

  /// Where the sample came from: the file and the item's index in it, counted from 0.
  std::filesystem::path source;
  int64_t index = 0;
  /// Content hash of question, answer, references, what the item itself says of the text to it, and
  /// the images' bytes (not of names and paths) with how they are turned, or of the ids of a window
  /// of tokens. Of a sample with a problem: of what is known of it.
  std::string content;
  /// What the sample shares with others that are no independent draws beside it: an image, a
  /// conversation, the very same question and answer, or parts of a text. Intervals resample the
  /// samples of a cluster as one. Empty: the sample is a cluster of its own.
  std::string cluster;
  /// Why the sample cannot be evaluated, for a data set that records such samples
  /// (OnProblem::kRecord); empty: it can. Its texts may then be empty and images be lacking.
  std::string problem;

  bool has_ids() const { return !prompt_ids.empty(); }
  /// How many of its images the turns before it show.
  size_t earlier_images() const {
    size_t count = 0;
    for (const EarlierTurn& turn : earlier) count += turn.images;
    return count;
  }
  /// All accepted answers: at least one.
  std::vector<std::string> accepted() const {
    return references.empty() ? std::vector<std::string>{answer} : references;
  }
};

/// The first turn of a sample's conversation as a sample of its own; the sample itself where it is
/// that, or of no conversation.
Sample first_turn(const Sample& sample);

}  // namespace elastikv
