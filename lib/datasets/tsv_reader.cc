#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "datasets/item_fields.h"
#include "datasets/multiple_choice.h"
#include "datasets/python_list.h"
#include "datasets/readers.h"
#include "datasets/tsv_table.h"

namespace elastikv {
namespace {

/// An image's cell that is not longer names another row.
constexpr size_t kLongestReference = 64;

/// The columns that are used; npos: the table has none.
class Columns {
 public:
  Columns(const std::vector<std::string_view>& header, const std::string& file) {
    for (size_t i = 0; i < header.size(); ++i) {
      if (!header[i].empty() && !by_name_.try_emplace(header[i], i).second)
        fail("{}: the header has '{}' twice", file, header[i]);
    }
  }
  bool has(std::string_view name) const { return by_name_.contains(name); }
  /// The row's cell; empty without such a column.
  std::string_view of(const TsvRow& row, std::string_view name) const {
    const auto column = by_name_.find(name);
    return column == by_name_.end() ? std::string_view() : row.fields[column->second];
  }

 private:
  std::unordered_map<std::string_view, size_t> by_name_;
};

class TsvSamples {
 public:
  TsvSamples(const TsvTable& table, const Reading& reading)
      : table_(table), reading_(reading), columns_(table.header, reading.problems.file()) {
    const std::string& file = reading.problems.file();
    if (!columns_.has("index")) fail("{}: the header has no 'index'", file);
    if (!columns_.has("image") && !columns_.has("image_path") && !columns_.has("question"))
      fail("{}: the header has neither 'image' nor 'image_path', and no 'question' to ask without",
           file);
    if (!columns_.has("answer") && !columns_.has("gpt4_ans") && reading.options.needs_answers)
      fail("{}: the header has neither 'answer' nor 'gpt4_ans'", file);
    if (columns_.has("question") && !reading.options.prompt.empty())
      fail("{}: 'prompt' is for data without questions, this table has some", file);
    for (size_t i = 0; i < table.rows.size(); ++i) {
      const std::string_view index = columns_.of(table.rows[i], "index");
      if (!by_index_.try_emplace(index, i).second) repeated_.insert(index);
    }
  }

  void read() {
    for (size_t i = 0; i < table_.rows.size(); ++i) read_row(static_cast<int64_t>(i));
  }

 private:
  void read_row(int64_t number) {
    const TsvRow& row = table_.rows[static_cast<size_t>(number)];
    Draft draft;
    draft.sample.index = number;
    draft.sample.id = columns_.of(row, "index");
    draft.where = fmt::format("line {}", row.line);
    if (is_blank(draft.sample.id)) {
      reading_.problems.add(ProblemKind::kId, draft.where + ": 'index' is empty");
      draft.sample.id.clear();
    } else {
      draft.where += fmt::format(" ('{}')", draft.sample.id);
    }
    for (const char* key : {"category", "l2-category"}) {
      const std::string_view category = columns_.of(row, key);
      if (!is_blank(category)) draft.sample.categories.emplace_back(category);
    }
    read_images(row, draft);
    const std::vector<Option> options = options_of(row);
    draft.sample.options = texts_by_letter(options);
    draft.sample.question = question_of(row, options);
    draft.sample.context_length =
        context_length(columns_.of(row, "hint"), columns_.of(row, "question"));
    read_answer(row, options, draft);
    reading_.add(std::move(draft));
  }

  std::vector<Option> options_of(const TsvRow& row) const {
    std::vector<Option> options;
    for (char letter = 'A'; letter <= 'Z'; ++letter) {
      const std::string_view text = columns_.of(row, std::string_view(&letter, 1));
      if (!is_blank(text)) options.push_back({letter, std::string(text)});
    }
    return options;
  }

  std::string question_of(const TsvRow& row, const std::vector<Option>& options) const {
    if (!columns_.has("question"))
      return reading_.options.prompt.empty() ? kCaptionPrompt : reading_.options.prompt;
    return with_options(columns_.of(row, "hint"), std::string(columns_.of(row, "question")),
                        options);
  }

  void read_answer(const TsvRow& row, const std::vector<Option>& options, Draft& draft) {
    std::string_view answer = columns_.of(row, "answer");
    if (is_blank(answer)) answer = columns_.of(row, "gpt4_ans");
    if (is_blank(answer)) return;  // noted with the other texts
    if (!options.empty()) {
      read_choice(answer, options, draft);
      return;
    }
    draft.sample.answer = answer;
    if (looks_like_string_list(answer)) {
      std::optional<std::vector<std::string>> list = parse_string_list(answer);
      if (!list) {
        draft.sample.answer.clear();
        draft.lacks_answer = true;
        if (!reading_.options.needs_answers) return;
        reading_.problems.add(ProblemKind::kItem, draft,
                              fmt::format("the answer {} is no list", shortened(answer)));
        return;
      }
      draft.sample.answer = list->front();
      if (list->size() > 1) draft.sample.references = std::move(*list);
    } else {
      draft.sample.references = alternatives_of(draft.sample.answer);
    }
  }

  void read_choice(std::string_view answer, const std::vector<Option>& options, Draft& draft) {
    const auto chosen = std::find_if(options.begin(), options.end(), [&](const Option& option) {
      return answer == std::string_view(&option.letter, 1) || answer == option.text;
    });
    if (chosen != options.end()) {
      choose(*chosen, draft);
      return;
    }
    draft.lacks_answer = true;
    if (reading_.options.needs_answers)
      reading_.problems.add(ProblemKind::kItem, draft, no_option(answer, options));
  }

  void read_images(const TsvRow& row, Draft& draft) {
    const std::string_view embedded = columns_.of(row, "image");
    const std::string_view named = columns_.of(row, "image_path");
    if (!is_blank(embedded)) {
      for_each(embedded, "image", draft,
               [&](std::string_view image) { add_embedded(image, draft); });
    } else if (!is_blank(named)) {
      for_each(named, "image_path", draft, [&](std::string_view name) {
        draft.images.push_back({{std::string(name)}, {}});
      });
    } else if (!columns_.has("question")) {
      // There is nothing to caption. A question may be asked without an image.
      refuse_images(draft, ProblemKind::kItem, "the row has no image");
    }
  }

  /// Calls `use` with a cell, or with each entry of the list that it holds.
  template <typename Use>
  void for_each(std::string_view cell, const char* column, Draft& draft, Use use) {
    if (!looks_like_string_list(cell)) {
      use(cell);
      return;
    }
    std::optional<std::vector<std::string>> list = parse_string_list(cell);
    if (!list) {
      refuse_images(draft, ProblemKind::kItem,
                    fmt::format("'{}' {} is no list", column, shortened(cell)));
      return;
    }
    for (std::string& entry : *list) use(reading_.text.keep(std::move(entry)));
  }

  void add_embedded(std::string_view image, Draft& draft) {
    if (image.size() <= kLongestReference) {
      const auto target = by_index_.find(image);
      if (target == by_index_.end()) {
        refuse_images(draft, ProblemKind::kReference,
                      fmt::format("'image' is '{}', no row's index", image));
        return;
      }
      if (repeated_.contains(image)) {
        refuse_images(draft, ProblemKind::kReference,
                      fmt::format("'image' is '{}', the index of several rows", image));
        return;
      }
      image = columns_.of(table_.rows[target->second], "image");
      if (image.size() <= kLongestReference || looks_like_string_list(image)) {
        refuse_images(draft, ProblemKind::kReference,
                      fmt::format("'image' is '{}', a row without an image of its own",
                                  columns_.of(table_.rows[target->second], "index")));
        return;
      }
    }
    draft.images.push_back({{}, image});
  }

  void refuse_images(Draft& draft, ProblemKind kind, const std::string& why) {
    draft.lacks_images = true;
    reading_.problems.add(kind, draft, why);
  }

  const TsvTable& table_;
  const Reading& reading_;
  Columns columns_;
  std::unordered_map<std::string_view, size_t> by_index_;
  std::unordered_set<std::string_view> repeated_;  // of those
};

bool is_table(FileText& text) {
  const std::vector<std::string_view> header = tsv_header(text);
  const auto has = [&](std::string_view name) {
    return std::find(header.begin(), header.end(), name) != header.end();
  };
  return has("index") && (has("image") || has("image_path") || has("question"));
}

void read_tsv(const Reading& reading) {
  const TsvTable table = read_tsv_table(reading.text, reading.problems);
  TsvSamples(table, reading).read();
}

}  // namespace

/// Tab-separated values with index, image (base64, or another row's index) or image_path or
/// neither, question, hint, options A to Z, answer, category.
extern const DataFormat kVlmEvalKitFormat{
    .name = "vlmevalkit-tsv",
    .looks = "a header with 'index' and 'image' or 'question'",
    .is_text = is_table,
    .read_text = read_tsv,
    .takes_prompt = true,
    .notes_texts_alone = true};

}  // namespace elastikv
