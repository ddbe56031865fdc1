#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/columns.h"
#include "datasets/sample.h"
#include "image/image.h"
#include "text/bos.h"
#include "text/tokenizer.h"

namespace elastikv {

/// How a text is cut into windows of a model's tokens. Every window is a prompt of its own: it
/// begins with what stands before a text (`bos`), which counts among its prompt_tokens.
struct TokenWindows {
  int64_t prompt_tokens = 0;  // ids of a window that are the prompt, with no chat template around
  int64_t answer_tokens = 0;  // ids after them that are scored
  /// From the first id of the text in a window to that in the next one: at least answer_tokens, or
  /// ids would be scored twice. Default: as many as a window takes of the text.
  std::optional<int64_t> stride{};
  BosRule bos = BosRule::kAuto;

  int64_t length() const { return prompt_tokens + answer_tokens; }
};

/// What answers a question.
enum class AnswerBy {
  kText,        // a text that the model writes
  kLikelihood,  // the likeliest of the question's options
};
/// "text" or "likelihood".
std::string_view answer_by_name(AnswerBy answer_by);

/// What of an option a model is to say where its likelihood is computed.
enum class OptionText {
  kLetterAndText,  // "B. a dog", as the question lists it
  kLetter,         // "B"
  kText,           // "a dog"
};
/// "letter-and-text", "letter" or "text".
std::string_view option_text_name(OptionText option_text);

/// What is published of a data set that may not be at hand, for plans.
struct ExpectedData {
  int64_t samples = 0;
  int64_t question_tokens = 0;  ///< of a prompt without its image
  int64_t answer_tokens = 0;
};

/// What becomes of samples that cannot be evaluated.
enum class OnProblem {
  kRefuse,  // one report of all problems, and nothing is evaluated
  kRecord,  // they stay in their place, marked with Sample::problem, for the run to record as
            // failed
};

/// What becomes of items whose id an earlier one of the file has.
enum class RepeatedIds {
  kNumber,  // the second "x" becomes "x#2", or has the next number that makes no id of the file
  kRefuse,  // they are a problem of the file
};

/// Which samples of which file, or of which folder of Parquet files.
///
/// The format is recognised by the file's name and content when `format` is "auto". Each one is
/// described beside its reader (the DataFormat at the end of *_reader.cc); docs/data-formats.md has
/// examples.
struct DataOptions {
  std::filesystem::path path;  // the data file, or a folder: LLaVA-Bench's, or of Parquet files
  std::string format = "auto";
  std::string name;  // default: see data_set_name
  /// Which columns hold what, in Parquet, JSON and tables alike; none: the format knows.
  std::optional<DataColumns> columns;
  /// Where the images lie that DataColumns::images name by their ids; none: they are files, or in
  /// the data file.
  std::optional<ImageTable> images_from;
  /// How questions are written of rows, in the place of columns.question and columns.context.
  std::optional<PromptParts> parts;
  /// Of a folder of Parquet files those of this split ("test" of test-00000-of-00002.parquet), or
  /// the rows whose value in DataColumns::split it is; empty: the only one, or all rows.
  std::string split;
  /// Which question and answer of a conversation: "first", "all" (one sample per pair), or a number
  /// from 1. Every pair is asked alone, with the image and without the pairs before it, so that a
  /// sample does not depend on which other turns are evaluated. Or "conversation": one sample per
  /// pair, each with the pairs before it (Sample::earlier).
  std::string turn = "first";
  /// With "conversation": whose answers to the earlier questions.
  HistoryAnswers history = HistoryAnswers::kReference;
  /// And what becomes of the compressed cache.
  Recompress recompress = Recompress::kFirstTurn;
  /// Where images are looked for first, by their whole name and by its last component; default:
  /// the folder of the data file. That folder and its images/ are tried too.
  std::filesystem::path image_root;
  /// JSON lines of {question_id, text} for questions that come without answers; LLaVA-Bench's
  /// default is answers_gpt4.jsonl beside the questions.
  std::filesystem::path answers;
  /// False where nothing is compared with the data set's answers (neither perplexity nor a text
  /// metric with 'reference: dataset'): questions without a usable answer are then read too.
  bool needs_answers = true;
  RepeatedIds ids = RepeatedIds::kNumber;
  /// The question that captions answer; empty: "Provide a one-sentence caption ...".
  std::string prompt;
  /// "before" or "after": where images are written into questions that do not place them, each on
  /// a line of its own; empty: the prompt format decides.
  std::string image_place;
  /// By which texts questions and their options name their images where these stand: "<image {n}>",
  /// see ImageMarkers; empty: by none.
  std::string image_markers;
  /// What becomes of images whose file says that they are stored turned.
  ImageOrientation image_orientation = ImageOrientation::kStored;
  /// Where images that a data file holds (in base64, or as bytes) are kept as files, named by their
  /// content; empty: default_image_cache().
  std::filesystem::path image_cache;
  OnProblem on_problem = OnProblem::kRefuse;
  std::optional<int64_t> limit;         // at most so many samples, after offset
  int64_t offset = 0;                   // samples left out at the beginning
  std::vector<std::string> sample_ids;  // only these (in the file's order); empty: all
  int64_t context_words = 384;          // text: words of a window that become the question
  int64_t answer_words = 128;           // text: words after them that become the answer
  std::optional<TokenWindows> tokens;   // text: windows of tokens instead
  std::optional<ExpectedData> expected;
  /// A benchmark of configs/tasks whose data these are; what follows is what it asks for.
  std::string task;
  /// Put before and behind every question, as they stand. Images that a question places at its
  /// beginning or end stay outside.
  std::string question_before;
  std::string question_after;  // of a multiple choice in the place of our own line
  /// Put behind questions without options instead; none: `question_after` is.
  std::optional<std::string> question_after_open;
  std::string question_remove;            // a text that is taken out of every question first
  std::optional<AnswerBy> answer_by;      // none: a text
  std::optional<OptionText> option_text;  // none: letter and text
  /// Of the texts that are generated, unless a row says it; none: the sweep's.
  std::optional<int64_t> max_new_tokens;
  std::vector<std::string> stop;  // texts at which they end
  /// Metrics of texts, its own one first; empty: the sweep's.
  std::vector<std::string> metrics;

  bool by_likelihood() const { return answer_by == AnswerBy::kLikelihood; }
  OptionText scored_text() const { return option_text.value_or(OptionText::kLetterAndText); }
};

/// The samples that a sweep uses.
struct DataSet {
  std::string name;
  std::string format;           // as recognised
  bool in_windows = false;      // samples are pieces of a text that goes on behind them
  std::vector<Sample> samples;  // never empty, in the file's order
  std::string content;          // content hash of the samples' ids and contents
  /// What a user should know of the data before the results: sentences without the set's name.
  std::vector<std::string> notes;
};

/// Formats that DataOptions::format may name: "auto" and those of formats.cc.
const std::vector<std::string>& data_formats();

/// The name of a data set that gave none: the file's stem, or, where that says nothing
/// (annotations, data, questions, test, train, validation), with the folders above it as far as
/// they are needed: "stamp-scenes-test" for datasets/stamp-scenes/test/annotations.json.
std::string data_set_name(const std::filesystem::path& file);

/// $ELASTIKV_CACHE/pictures, else $XDG_CACHE_HOME/elastikv/pictures, else
/// ~/.cache/elastikv/pictures.
std::filesystem::path default_image_cache();

/// Reads and checks a data set. All items of the file are checked for their structure, ids and
/// non-empty texts, and the selected samples' images for their existence and by
/// `check_image` (which throws Error, and may be empty). One Error reports every problem, by
/// kind, the first few of each with the item they are in. With OnProblem::kRecord problems of
/// single samples mark these instead, as long as a selected sample is left without one; problems of
/// the file (its format, encoding, ids, table rows) still refuse it. Line ends of any system count
/// as "\n" in every format. Windows of tokens are those of `tokenizer`, which is read for nothing
/// else: the ids of the whole file are cut, without what special tokens the tokenizer puts around a
/// text, and each window then begins with what it puts in front (TokenWindows::bos); sample
/// "tokens-N" takes up at id N of the text, and ids that do not fill a window are left out.
DataSet read_data(const DataOptions& options,
                  const std::function<void(const std::filesystem::path&)>& check_image = {},
                  const Tokenizer* tokenizer = nullptr);

}  // namespace elastikv
