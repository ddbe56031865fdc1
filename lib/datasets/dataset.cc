#include "datasets/dataset.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/nearest_name.h"
#include "datasets/clusters.h"
#include "datasets/conversation.h"
#include "datasets/file_text.h"
#include "datasets/formats.h"
#include "datasets/image_markers.h"
#include "datasets/images.h"
#include "datasets/item_fields.h"
#include "datasets/multiple_choice.h"
#include "datasets/parquet_files.h"
#include "datasets/problems.h"
#include "datasets/readers.h"
#include "datasets/scored_options.h"
#include "datasets/selection.h"

namespace elastikv {
namespace {

void require_usable(const DataOptions& options) {
  const std::string file = options.path.string();
  const auto& formats = data_formats();
  if (std::find(formats.begin(), formats.end(), options.format) == formats.end()) {
    fail("{}: unknown data format '{}'{}", file, options.format,
         suggestion(options.format, formats));
  }
  int64_t number = 0;
  const bool goes_on = options.turn == kConversationTurn;
  if (options.turn != "first" && options.turn != "all" && !goes_on &&
      (!parse_int(options.turn, number) || number < 1)) {
    fail("{}: turn is '{}', needs first, all, conversation or a number from 1", file, options.turn);
  }
  if (goes_on && !options.image_markers.empty()) {
    fail(
        "{}: 'image_markers' name the images of one question; with 'turn: conversation' <image> "
        "says where they stand",
        file);
  }
  if (options.limit && *options.limit < 1) {
    fail("{}: limit is {}, needs to be at least 1", file, *options.limit);
  }
  if (options.offset < 0) fail("{}: offset is {}, needs to be at least 0", file, options.offset);
  if (options.context_words < 1 || options.answer_words < 1) {
    fail("{}: context_words and answer_words need to be at least 1", file);
  }
  if (options.images_from && (!options.columns || options.columns->images.empty()))
    fail("{}: 'images_from' needs columns.images, which hold the ids of its images", file);
  if (options.tokens) {
    const TokenWindows& windows = *options.tokens;
    const int64_t stride = windows.stride.value_or(windows.answer_tokens);
    if (windows.prompt_tokens < 1 || windows.answer_tokens < 1 || stride < 1) {
      fail("{}: prompt_tokens, answer_tokens and stride need to be at least 1", file);
    }
    if (stride < windows.answer_tokens) {
      fail(
          "{}: stride is {}, below answer_tokens, which is {}: tokens would be scored in several "
          "windows",
          file, stride, windows.answer_tokens);
    }
  }
}

/// The data file that a path means.
std::filesystem::path data_file(const std::filesystem::path& path) {
  if (!is_folder(path)) return path;
  std::filesystem::path questions = path / "questions.jsonl";
  if (std::filesystem::is_regular_file(questions)) return questions;
  if (holds_parquet(path)) return path;
  fail("{}: is a folder; name the data file in it", path.string());
}

/// The data set's Parquet files; none when it is a text.
std::vector<std::filesystem::path> parquet_of(const DataOptions& options) {
  const bool by_rows = options.columns && !options.columns->split.empty();
  if (!options.split.empty() && !by_rows && !is_folder(options.path)) {
    fail("{}: 'split' chooses among the Parquet files of a folder, or rows by columns.split",
         options.path.string());
  }
  return parquet_files(options.path, by_rows ? "" : options.split);
}

void note_repeated_ids(const std::vector<Draft>& drafts, Problems& problems) {
  std::unordered_set<std::string_view> ids;
  for (const Draft& draft : drafts) {
    // An id that is not usable was noted by itself.
    if (!draft.sample.id.empty() && !ids.insert(draft.sample.id).second)
      problems.add(ProblemKind::kRepeatedId, draft.where + ": the id is used before");
  }
}

/// Gives items whose id an earlier one has ids of their own: "x#2", "x#3" in the file's order,
/// without those that are ids already (another item's, or a turn's). It goes by the whole file, so
/// that an id does not depend on which samples are selected.
void number_repeated_ids(std::vector<Draft>& drafts, std::vector<std::string>& notes) {
  std::unordered_set<std::string> taken;
  for (const Draft& draft : drafts) taken.insert(draft.sample.id);
  std::unordered_map<std::string, int64_t> last;  // number that an id's items have so far
  size_t count = 0;
  std::string first;
  for (Draft& draft : drafts) {
    std::string& id = draft.sample.id;
    if (id.empty()) continue;  // not usable, which is noted
    const auto [number, is_new] = last.try_emplace(id, 1);
    if (is_new) continue;
    std::string numbered;
    do {
      numbered = fmt::format("{}#{}", id, ++number->second);
    } while (!taken.insert(numbered).second);
    if (first.empty()) first = fmt::format("the second '{}' is '{}'", id, numbered);
    id = std::move(numbered);
    ++count;
  }
  if (count == 0) return;
  notes.push_back(
      fmt::format("{} of {} items repeat{} an earlier one's id and {} numbered in the file's order "
                  "({}); 'ids: unique' refuses them",
                  count, drafts.size(), count == 1 ? "s" : "", count == 1 ? "is" : "are", first));
}

/// Rows of a table without an image are what they are, or an image that was lost.
void note_texts_alone(const std::vector<Draft>& drafts, std::vector<std::string>& notes) {
  const auto count = std::count_if(drafts.begin(), drafts.end(), [](const Draft& draft) {
    return draft.images.empty() && !draft.lacks_images;
  });
  if (count == 0) return;
  notes.push_back(fmt::format("{} of {} rows {} no image and {} asked as text alone", count,
                              drafts.size(), count == 1 ? "has" : "have",
                              count == 1 ? "is" : "are"));
}

/// Images that are not shown since no marker names them.
void note_unnamed_images(const std::vector<Draft>& drafts, std::vector<std::string>& notes) {
  size_t count = 0;
  for (const Draft& draft : drafts) count += draft.unnamed_images;
  if (count == 0) return;
  notes.push_back(fmt::format("{} image{} that no marker in {} question names {} left out", count,
                              count == 1 ? "" : "s", count == 1 ? "its" : "their",
                              count == 1 ? "is" : "are"));
}

/// A question of a draft, its own or that of an earlier turn.
struct AskedQuestion {
  std::string& text;
  size_t& context_length;
  size_t images;    // that it shows
  bool by_markers;  // placed them
  bool open;        // has no options
};

/// Calls `work` with every question that a draft's prompt holds.
void for_each_question(Draft& draft, const std::function<void(AskedQuestion)>& work) {
  Sample& sample = draft.sample;
  const size_t earlier = sample.earlier_images();
  for (EarlierTurn& turn : sample.earlier)
    work({turn.question, turn.context_length, turn.images, /*by_markers=*/false, /*open=*/true});
  work({sample.question, sample.context_length,
        draft.images.size() - std::min(earlier, draft.images.size()), draft.placed_by_markers,
        sample.options.empty()});
}

/// Writes the images' places into questions that leave them to the prompt format.
void place_images(std::vector<Draft>& drafts, const std::string& place) {
  if (place.empty()) return;
  for (Draft& draft : drafts) {
    for_each_question(draft, [&](const AskedQuestion& question) {
      if (places_in(question.text) > 0) return;
      constexpr std::string_view kInFront = "<image>\n";
      for (size_t i = 0; i < question.images; ++i)
        question.text = place == "before" ? fmt::format("{}{}", kInFront, question.text)
                                          : fmt::format("{}\n<image>", question.text);
      if (place == "before" && question.context_length > 0)
        question.context_length += question.images * kInFront.size();
    });
  }
}

/// Takes markers of images from one end of a question: "<image>\n" in front, "\n<image>" behind.
std::string take_markers(std::string& question, bool in_front) {
  const std::string_view marker = in_front ? "<image>\n" : "\n<image>";
  std::string taken;
  while (in_front ? question.starts_with(marker) : question.ends_with(marker)) {
    taken += marker;
    question.erase(in_front ? 0 : question.size() - marker.size(), marker.size());
  }
  return taken;
}

/// A question between what a benchmark puts around it. Images at its ends stay outside unless
/// markers placed them: these are part of the question.
std::string surrounded(const AskedQuestion& asked, const std::string& before,
                       const std::string& after) {
  std::string question = asked.text;
  if (before.empty() && after.empty()) return question;
  if (!after.empty() && question.ends_with(kOptionLine))
    question.erase(question.size() - kOptionLine.size());
  if (asked.by_markers) return before + question + after;
  const std::string front = take_markers(question, /*in_front=*/true);
  const std::string behind = take_markers(question, /*in_front=*/false);
  return front + before + question + after + behind;
}

/// Puts what a benchmark says around its questions.
void put_around(std::vector<Draft>& drafts, const DataOptions& options) {
  const std::string& remove = options.question_remove;
  const auto put = [&](const AskedQuestion& asked) {
    std::string& question = asked.text;
    for (size_t at = question.find(remove, asked.context_length);
         !remove.empty() && at != std::string::npos; at = question.find(remove, at))
      question.erase(at, remove.size());
    std::string after = asked.open && options.question_after_open ? *options.question_after_open
                                                                  : options.question_after;
    // Our own line asks for what is scored.
    if (after.empty() && options.by_likelihood() && question.ends_with(kOptionLine))
      after = option_line(options.scored_text());
    question = surrounded(asked, options.question_before, after);
    if (asked.by_markers) question = trimmed_at_images(question);
    if (asked.context_length > 0) asked.context_length += options.question_before.size();
  };
  for (Draft& draft : drafts) for_each_question(draft, put);
}

/// The selected samples, with everything noted that is wrong with them or with the file; fills in
/// what the data set's format says of it.
std::vector<Draft> read_drafts(const DataOptions& options, const Images::Check& check_image,
                               const Tokenizer* tokenizer, DataSet& data, Problems& problems) {
  const std::vector<std::filesystem::path> parquet = parquet_of(options);
  FileText text = parquet.empty() ? FileText(options.path, problems) : FileText();
  std::vector<Draft> drafts;
  std::vector<std::string>& notes = data.notes;
  const DataFormat& format =
      read_samples({options, text, problems, drafts, notes, tokenizer, parquet});
  data.format = format.name;
  data.in_windows = format.in_windows;
  if (drafts.empty()) fail("{}: the file holds no items", options.path.string());
  if (options.ids == RepeatedIds::kRefuse) {
    note_repeated_ids(drafts, problems);
  } else {
    number_repeated_ids(drafts, notes);
  }
  select(drafts, options);
  if (format.notes_texts_alone) note_texts_alone(drafts, notes);
  note_unnamed_images(drafts, notes);
  put_around(drafts, options);
  set_scored_options(drafts, options, problems);
  place_images(drafts, options.image_place);
  Images images(options, check_image, problems);
  images.find_by_id(drafts);
  for (Draft& draft : drafts) {
    images.find(draft);
    draft.images.clear();  // they may be pieces of the text, which ends here
  }
  images.check_root();
  for (std::string& note : images.notes()) notes.push_back(std::move(note));
  assign_clusters(drafts);
  return drafts;
}

bool is_usable(const Draft& draft) { return draft.sample.problem.empty(); }

}  // namespace

void Reading::add(Draft draft) const {
  if (!options.image_markers.empty()) ImageMarkers(options.image_markers).place(draft, problems);
  check_texts(draft, options.needs_answers, problems);
  drafts.push_back(std::move(draft));
}

std::string data_set_name(const std::filesystem::path& file) {
  static const std::vector<std::string> vague{"questions", "test", "train", "val", "validation"};
  const auto says_nothing = [](const std::string& name) {
    return std::find(vague.begin(), vague.end(), name) != vague.end();
  };
  // A folder's path may end with a slash.
  const std::filesystem::path path = file.has_filename() ? file : file.parent_path();
  std::string name = path.stem().string();
  std::filesystem::path folder = path.parent_path();
  // The file's own name goes when a folder can stand for it; the split (test, train) stays.
  if ((name == "annotations" || name == "data") && !folder.filename().empty()) {
    name = folder.filename().string();
    folder = folder.parent_path();
  }
  if (says_nothing(name) && !folder.filename().empty()) {
    name = folder.filename().string() + "-" + name;
  }
  return name;
}

DataSet read_data(const DataOptions& options,
                  const std::function<void(const std::filesystem::path&)>& check_image,
                  const Tokenizer* tokenizer) {
  require_usable(options);
  DataOptions resolved = options;
  resolved.path = data_file(options.path);
  Problems problems(resolved.path.string());
  DataSet data;
  data.name = options.name.empty() ? data_set_name(options.path) : options.name;
  std::vector<Draft> drafts;
  try {
    drafts = read_drafts(resolved, check_image, tokenizer, data, problems);
  } catch (const Error&) {
    // What was noted before may be why: broken bytes, lines that are not JSON.
    problems.refuse_if_any();
    throw;
  }
  const bool record = options.on_problem == OnProblem::kRecord && !problems.of_file() &&
                      std::any_of(drafts.begin(), drafts.end(), is_usable);
  if (!record) problems.refuse_if_any();

  std::string all;
  for (Draft& draft : drafts) {
    draft.sample.source = resolved.path;
    if (!draft.sample.max_new_tokens) draft.sample.max_new_tokens = resolved.max_new_tokens;
    draft.sample.stop = resolved.stop;
    all += fmt::format("{}:{}{}", draft.sample.id.size(), draft.sample.id, draft.sample.content);
    data.samples.push_back(std::move(draft.sample));
  }
  data.content = content_hash(all);
  return data;
}

}  // namespace elastikv
