#include "sweep/data_choice.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/keys.h"
#include "base/nearest_name.h"
#include "base/yaml_values.h"
#include "datasets/conversation.h"
#include "datasets/image_markers.h"
#include "metrics/text_metrics.h"
#include "sweep/column_keys.h"
#include "sweep/labels.h"
#include "sweep/metric_keys.h"
#include "sweep/shared_keys.h"
#include "sweep/task.h"
#include "sweep/variants.h"
#include "text/bos.h"

namespace elastikv {
namespace {

ValueForm<std::string> format_form() {
  ValueForm<std::string> form = text_form();
  form.read = [](const YamlFields& node) {
    std::string format = node.as_string();
    const auto& formats = data_formats();
    if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
      node.fail_here(
          fmt::format("is '{}', no known format{}", format, suggestion(format, formats)));
    }
    return format;
  };
  form.takes = "one of `elastikv list formats`";
  return form;
}

ValueForm<std::string> task_form() {
  ValueForm<std::string> form = text_form();
  form.read = task_name_at;
  form.takes = "one of `elastikv list tasks`";
  return form;
}

ValueForm<std::string> turn_form() {
  ValueForm<std::string> form = text_form();
  form.read = [](const YamlFields& node) {
    std::string turn = node.as_string();
    int64_t number = 0;
    if (turn != "first" && turn != "all" && turn != kConversationTurn &&
        (!parse_int(turn, number) || number < 1))
      node.fail_here(
          fmt::format("is '{}', needs first, all, conversation or a number from 1", turn));
    return turn;
  };
  form.takes = "`first`, `all`, `conversation` or a number from 1";
  return form;
}

ValueForm<std::string> image_markers_form() {
  ValueForm<std::string> form = text_form();
  form.read = [](const YamlFields& node) {
    std::string markers = node.as_string();
    checked(node, [&] { static_cast<void>(ImageMarkers(markers)); });
    return markers;
  };
  form.takes = "text with `{n}`";
  return form;
}

ValueForm<std::vector<std::string>> stop_form() {
  ValueForm<std::vector<std::string>> form = text_list_form();
  form.read = [](const YamlFields& node) {
    std::vector<std::string> texts;
    for (const YamlFields& text : any_or_none(node)) {
      texts.push_back(text.as_string());
      if (texts.back().empty()) text.fail_here("is empty: no text ends at it");
    }
    return texts;
  };
  return form;
}

ValueForm<std::vector<std::string>> ids_form() {
  ValueForm<std::vector<std::string>> form = text_list_form();
  form.read = [](const YamlFields& node) {
    std::vector<std::string> ids;
    for (const YamlFields& id : one_or_list(node)) ids.push_back(id.as_string());
    return ids;
  };
  form.takes = "one id or several";
  return form;
}

/// A key of windows of words, which are written unless windows of tokens take their place.
void add_words(Keys<DataOptions>& keys, const char* name, int64_t DataOptions::*words, int order,
               std::string help) {
  const ValueForm<int64_t> form = integer_form(1);
  keys.custom(name,
              {.read = [words, form](const YamlFields& node,
                                     DataOptions& data) { data.*words = form.read(node); },
               .write =
                   [words, form](const DataOptions& data) {
                     return data.tokens ? OrderedJson() : form.write(data.*words);
                   }},
              form.takes, std::move(help),
              {.otherwise = fmt::format("`{}`", DataOptions{}.*words),
               .lists = ListedValues{.order = order, .ranges = true}});
}

/// A key of windows of tokens, which there are where any of these keys is.
template <typename Held, typename V>
void add_window(Keys<DataOptions>& keys, const char* name, Held TokenWindows::*member,
                const ValueForm<V>& form, std::string help, KeyTraits traits) {
  keys.custom(name,
              {.read =
                   [member, form](const YamlFields& node, DataOptions& data) {
                     if (!data.tokens) data.tokens.emplace();
                     (*data.tokens).*member = form.read(node);
                   },
               .write =
                   [member, form](const DataOptions& data) {
                     if (!data.tokens) return OrderedJson();
                     const std::optional<V> value = (*data.tokens).*member;
                     return value ? form.write(*value) : OrderedJson();
                   }},
              form.takes, std::move(help), std::move(traits));
}

void add_windows(Keys<DataOptions>& keys) {
  const ValueForm<int64_t> tokens = integer_form(1, kMostNewTokens);
  add_window(keys, "prompt_tokens", &TokenWindows::prompt_tokens, tokens,
             "Plain text, cut into windows of tokens: those that are the prompt.",
             {.lists = ListedValues{.order = 7, .ranges = true}});
  add_window(keys, "answer_tokens", &TokenWindows::answer_tokens, tokens,
             "Tokens behind them that are scored.",
             {.lists = ListedValues{.order = 8, .ranges = true}});
  add_window(keys, "stride", &TokenWindows::stride, tokens,
             "From a window to the next one: at least `answer_tokens`.",
             {.otherwise = "as a window takes", .lists = ListedValues{.order = 9, .ranges = true}});
  add_window(
      keys, "bos", &TokenWindows::bos,
      named_form<BosRule>({BosRule::kAuto, BosRule::kAlways, BosRule::kNever}, bos_rule_name),
      "Whether a window of tokens begins with the BOS; `auto`: as the tokenizer does it.",
      {.otherwise = "`auto`", .lists = ListedValues{.order = 3}});
  add_words(keys, "context_words", &DataOptions::context_words, /*order=*/5,
            "Plain text, cut into windows of words: those that are the prompt.");
  add_words(keys, "answer_words", &DataOptions::answer_words, /*order=*/6,
            "Words behind them that are scored.");
}

/// What decides which of the samples are used, and what becomes of those that cannot be: a sweep
/// may be continued with other choices.
void add_selection(Keys<DataOptions>& keys) {
  keys.add("limit", &DataOptions::limit, integer_form(1), "So many samples at most.",
           {.hashed = false, .otherwise = "all"});
  keys.add("offset", &DataOptions::offset, integer_form(0), "Samples left out at the beginning.",
           {.hashed = false});
  keys.add("sample_ids", &DataOptions::sample_ids, ids_form(), "These samples alone.",
           {.written = Written::kWhereSet, .hashed = false, .otherwise = "all"});
  keys.add("image_cache", &DataOptions::image_cache, filled_path_form(),
           "Where images that the file holds are written.",
           {.written = Written::kWhereSet,
            .hashed = false,
            .otherwise = "in the user's cache",
            .earlier = "picture_cache"});
  keys.add("on_problem", &DataOptions::on_problem,
           choice_form<OnProblem>({{"refuse", OnProblem::kRefuse}, {"record", OnProblem::kRecord}}),
           "Samples that cannot be evaluated: refuse the data set, or record them as failed.",
           {.written = Written::kWhereSet, .hashed = false});
  // It refuses a file or changes nothing.
  keys.add("ids", &DataOptions::ids,
           choice_form<RepeatedIds>(
               {{"number", RepeatedIds::kNumber}, {"unique", RepeatedIds::kRefuse}}),
           "Items that repeat an id: number them (`id#2`), or refuse the file.",
           {.written = Written::kWhereSet, .hashed = false});
}

const Keys<ExpectedData>& expected_keys() {
  static const Keys<ExpectedData> keys([](Keys<ExpectedData>& keys) {
    keys.add("samples", &ExpectedData::samples, integer_form(1), "Samples of the data set.",
             {.otherwise = "`1`"});
    keys.add("question_tokens", &ExpectedData::question_tokens, integer_form(1),
             "Tokens of a prompt without its images.", {.otherwise = "`1`"});
    keys.add("answer_tokens", &ExpectedData::answer_tokens, integer_form(1), "Tokens of an answer.",
             {.otherwise = "`1`"});
  });
  return keys;
}

void read_expected(const YamlFields& node, DataOptions& data) {
  expected_keys().read(node, data.expected.emplace(ExpectedData{1, 1, 1}));
}

/// Error for windows of tokens that lack a size, overlap in what is scored, or stand beside windows
/// of words.
void check_windows(const YamlFields& fields, const DataOptions& data) {
  if (!data.tokens) return;
  const char* present = nullptr;
  for (const char* key : {"prompt_tokens", "answer_tokens", "stride", "bos"}) {
    if (fields.has(key)) present = key;
  }
  for (const char* key : {"context_words", "answer_words"}) {
    if (!fields.has(key)) continue;
    fields.at(key).fail_here(
        fmt::format("excludes '{}': a text is cut into windows of words or of tokens", present));
  }
  fields.at("prompt_tokens");  // both must be there: no number of tokens suits every model
  fields.at("answer_tokens");
  const TokenWindows& windows = *data.tokens;
  if (windows.stride && *windows.stride < windows.answer_tokens) {
    fields.at("stride").fail_here(
        fmt::format("is {}, below answer_tokens, which is {}: tokens would be scored in several "
                    "windows",
                    *windows.stride, windows.answer_tokens));
  }
}

/// What a benchmark's data set says of its questions and of the texts to them.
void add_task(Keys<DataOptions>& keys) {
  keys.add("question_before", &DataOptions::question_before, text_form(),
           "Put before every question, as it stands.", {.written = Written::kWhereSet});
  keys.add("question_after", &DataOptions::question_after, text_form(),
           "Put behind every question, as it stands; of a multiple choice in the place of our own "
           "line.",
           {.written = Written::kWhereSet});
  keys.add("question_after_open", &DataOptions::question_after_open, text_form(),
           "The same for questions without options.",
           {.written = Written::kWhereSet, .otherwise = "`question_after`"});
  keys.add("question_remove", &DataOptions::question_remove, text_form(),
           "A text that is taken out of every question first.", {.written = Written::kWhereSet});
  keys.add(
      "answer_by", &DataOptions::answer_by,
      named_form<AnswerBy>({AnswerBy::kText, AnswerBy::kLikelihood}, answer_by_name),
      "What answers a question: a text that the model writes, or the likeliest of its options.",
      {.written = Written::kWhereSet, .otherwise = "`text`"});
  keys.add(
      "option_text", &DataOptions::option_text,
      named_form<OptionText>({OptionText::kLetterAndText, OptionText::kLetter, OptionText::kText},
                             option_text_name),
      "With `answer_by: likelihood`: what of an option is scored.",
      {.written = Written::kWhereSet, .otherwise = "`letter-and-text`"});
  keys.add("max_new_tokens", &DataOptions::max_new_tokens, integer_form(1, kMostNewTokens),
           "Where texts to this data set end at the latest.",
           {.written = Written::kWhereSet, .otherwise = "`generation.max_new_tokens`"});
  keys.add("stop", &DataOptions::stop, stop_form(), "Texts at which they end.",
           {.written = Written::kWhereSet, .otherwise = "none"});
  keys.add("metrics", &DataOptions::metrics, metric_names_form(),
           "Metrics of texts for this data set, its own one first.",
           {.written = Written::kWhereSet, .otherwise = "`metrics.text`"});
}

/// Gives a data set that is answered by likelihood the metrics that judge it, where nobody names
/// any; Error for keys and metrics that do not suit what answers its questions.
void settle_answers(const YamlFields& fields, DataOptions& data) {
  if (data.by_likelihood()) {
    if (data.metrics.empty()) data.metrics = {kChoiceLikelihood, kChoiceLikelihoodPerCharacter};
    return;
  }
  if (data.option_text && fields.has("option_text")) {
    fields.at("option_text")
        .fail_here("speaks of options that are scored, which takes answer_by: likelihood");
  }
  for (const std::string& name : data.metrics) {
    if (!is_of_likelihood(name)) continue;
    fields.at(fields.has("metrics") ? "metrics" : "task")
        .fail_here(fmt::format("asks for '{}', which judges the likelihoods of options: it takes "
                               "answer_by: likelihood",
                               name));
  }
}

DataOptions read_data_choice(const YamlFields& fields, const SweepOverrides& overrides) {
  DataOptions data;
  data_keys().read(fields, data);
  if (!data.task.empty()) apply_task(read_task(data.task), fields, data);
  settle_answers(fields, data);
  check_windows(fields, data);
  for (const char* key : {"history", "recompress"}) {
    if (fields.has(key) && data.turn != kConversationTurn)
      fields.at(key).fail_here("is of conversations, which takes turn: conversation");
  }
  if (overrides.limit) {
    if (*overrides.limit < 1) fail("--limit is {}, needs to be at least 1", *overrides.limit);
    data.limit = overrides.limit;
  }
  if (overrides.record_problems) data.on_problem = OnProblem::kRecord;
  return data;
}

/// A mapping of further keys that may be left out.
template <typename S>
void add_optional(Keys<DataOptions>& keys, std::string name, std::optional<S> DataOptions::*member,
                  const Keys<S>& inner, std::string help, std::string otherwise = {}) {
  keys.group(
      std::move(name),
      {.read = [member, &inner](const YamlFields& node,
                                DataOptions& data) { inner.read(node, (data.*member).emplace()); },
       .write =
           [member, &inner](const DataOptions& data) {
             return data.*member ? inner.write(*(data.*member)) : OrderedJson();
           }},
      inner, "mapping", std::move(help),
      {.written = Written::kWhereSet, .otherwise = std::move(otherwise)});
}

}  // namespace

const Keys<DataOptions>& data_keys() {
  static const Keys<DataOptions> keys([](Keys<DataOptions>& keys) {
    keys.add("path", &DataOptions::path, filled_path_form(), "The data file, or its folder.",
             {.required = true, .lists = ListedValues{.order = 0, .named = false}});
    keys.add("task", &DataOptions::task, task_form(),
             "The benchmark that they are, which says all that follows but is not said here.",
             {.written = Written::kWhereSet, .hashed = false, .otherwise = "none"});
    keys.add("format", &DataOptions::format, format_form(),
             "The file's format; `auto` recognises it by its content.");
    keys.add("name", &DataOptions::name, label_form(), "The name in tables.",
             {.otherwise = "the file's"}, [](const YamlFields&, DataOptions& data) {
               data.name = data.task.empty() ? as_label(data_set_name(data.path)) : data.task;
             });
    keys.add("split", &DataOptions::split, filled_text_form(),
             "Of a folder of Parquet files those of this split, or the rows by `columns.split`.",
             {.written = Written::kWhereSet, .otherwise = "the only one"});
    add_optional(keys, "columns", &DataOptions::columns, column_keys(),
                 "Which columns of a Parquet file, a table or items hold what, by name.",
                 "the format knows");
    add_optional(keys, "images_from", &DataOptions::images_from, image_table_keys(),
                 "A Parquet table of the images, where `columns.images` are their ids.");
    add_optional(keys, "prompt_parts", &DataOptions::parts, part_keys(),
                 "How questions are written of the columns of a row, each as `{column}`.",
                 "`columns` name them");
    keys.add("turn", &DataOptions::turn, turn_form(),
             "Which question of a conversation; `conversation`: all, and the cache goes on from "
             "turn to turn.",
             {.lists = ListedValues{.order = 4, .ranges = true}});
    keys.add("history", &DataOptions::history,
             named_form<HistoryAnswers>({HistoryAnswers::kReference, HistoryAnswers::kOwn},
                                        history_answers_name),
             "With `turn: conversation`: whose answers to earlier questions the cache holds, the "
             "data's or those that the cell wrote.",
             {.written = Written::kWhereSet, .lists = ListedValues{.order = 10}});
    keys.add("recompress", &DataOptions::recompress,
             named_form<Recompress>({Recompress::kFirstTurn, Recompress::kNever}, recompress_name),
             "With `turn: conversation`: the generation policy goes on behind the first turn, or "
             "nothing is evicted once that was compressed.",
             {.written = Written::kWhereSet, .lists = ListedValues{.order = 11}});
    keys.add("image_root", &DataOptions::image_root, path_form(),
             "Where images are looked for first.", {.otherwise = "the file's folder"});
    keys.add("image_place", &DataOptions::image_place, word_form({"before", "after"}),
             "Where images stand in a question that does not place them.",
             {.written = Written::kWhereSet,
              .otherwise = "the model's",
              .earlier = "picture_place",
              .lists = ListedValues{.order = 1}});
    keys.add("image_markers", &DataOptions::image_markers, image_markers_form(),
             "A text by which questions and options name their images where these stand; `{n}` is "
             "an image's number from 1.",
             {.written = Written::kWhereSet, .otherwise = "none"});
    keys.add("image_orientation", &DataOptions::image_orientation,
             named_form<ImageOrientation>({ImageOrientation::kStored, ImageOrientation::kExif},
                                          image_orientation_name),
             "Images as they are stored, or turned as their files say.",
             {.written = Written::kWhereSet,
              .earlier = "picture_orientation",
              .lists = ListedValues{.order = 2}});
    keys.add("answers", &DataOptions::answers, filled_path_form(),
             "A file of answers to questions that come without.", {.written = Written::kWhereSet});
    keys.add("prompt", &DataOptions::prompt, filled_text_form(),
             "The question of data that have none, such as captions.",
             {.written = Written::kWhereSet});
    add_task(keys);
    add_windows(keys);
    add_selection(keys);
    keys.group("expect", {.read = read_expected}, expected_keys(), "mapping",
               "Published sizes, to plan with before the file is there.",
               {.written = Written::kNever, .hashed = false});
  });
  return keys;
}

std::vector<DataOptions> read_data_choices(const YamlFields& fields,
                                           const SweepOverrides& overrides) {
  require_no_name(fields, "name", {"path"});
  std::vector<DataOptions> sets;
  for (const Variant& variant : variants_of(fields, listed_keys(data_keys(), fields))) {
    sets.push_back(read_data_choice(variant.fields, overrides));
    sets.back().name += variant.suffix;
  }
  return sets;
}

}  // namespace elastikv
