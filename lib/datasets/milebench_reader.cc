#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "datasets/item_fields.h"
#include "datasets/readers.h"
#include "datasets/row_values.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// Has more options than there are letters, which are shown without them.
constexpr const char* kWithoutLetters = "GPR1200";

bool is_mile_bench(const Json& object) {
  return object.contains("meta_data") && object["meta_data"].is_object() &&
         object.contains("data") && object["data"].is_array();
}

/// The instruction that a sample names by its place; nothing after noting that it names none.
std::string instruction_of(const Json& sample, const std::vector<std::string>& instructions,
                           Draft& draft, Problems& problems) {
  const Json place = sample.value("task_instruction_id", Json());
  if (place.is_number_unsigned() && place.get<uint64_t>() < instructions.size())
    return instructions[place.get<size_t>()];
  problems.add(ProblemKind::kItem, draft,
               fmt::format("'task_instruction_id' is {}, a place among {} instructions is needed",
                           shortened(place.dump()), instructions.size()));
  draft.lacks_question = true;
  return "";
}

/// The question with `<image>` for each of its images, which stand in the order of their list.
std::string asked_of(const Json& instance, size_t images, bool with_letters, Draft& draft,
                     Problems& problems) {
  std::string context;
  if (!read_string(instance, "context", "", context, draft, problems)) draft.lacks_question = true;
  if (!draft.sample.options.empty()) {
    context += "\nChoice list: \n";
    char letter = 'A';
    for (size_t i = 0; i < draft.sample.options.size(); ++i) {
      if (i > 0) context += '\n';
      if (with_letters) context += fmt::format("{}. ", letter++);
      context += draft.sample.options[i];
    }
    context += "\nYour answer is: ";
  }
  for (size_t i = 1; i <= images; ++i) {
    for (const char* kind : {"image", "table"})
      context = replace_each(context, fmt::format("{{{}#{}}}", kind, i), "<image>");
  }
  return context;
}

std::vector<std::string> texts_of(const Json& object, const char* key) {
  return object.contains(key) ? as_texts(object[key]).value_or(std::vector<std::string>())
                              : std::vector<std::string>();
}

void read_mile_bench(const std::shared_ptr<const Json>& file, const Reading& reading) {
  Problems& problems = reading.problems;
  const std::vector<std::string> instructions = texts_of((*file)["meta_data"], "task_instruction");
  const bool with_letters = reading.options.path.stem() != kWithoutLetters;
  int64_t index = 0;
  for (const Json& sample : (*file)["data"]) {
    Draft draft;
    draft.sample.index = index;
    draft.where = fmt::format("data[{}]", index++);
    if (!sample.is_object() || !sample.contains("task_instance") ||
        !sample["task_instance"].is_object() || !sample.contains("sample_id")) {
      problems.add(ProblemKind::kItem,
                   draft.where + ": an object with 'sample_id' and 'task_instance' is needed");
      continue;
    }
    draft.sample.id = id_text(sample["sample_id"], "sample_id", draft.where, problems);
    draft.where = fmt::format("{} ('{}')", draft.where, draft.sample.id);
    const Json& instance = sample["task_instance"];
    draft.sample.options = texts_of(instance, "choice_list");
    const std::string instruction = instruction_of(sample, instructions, draft, problems);
    std::vector<std::string> images = texts_of(instance, "images_path");
    draft.sample.question = fmt::format(
        "{}\n{}", instruction, asked_of(instance, images.size(), with_letters, draft, problems));
    for (std::string& image : images)
      draft.images.push_back(image_called(std::move(image), reading.text));
    const std::optional<std::string> response = as_text(sample.value("response", Json()));
    if (response) {
      draft.sample.answer = *response;
    } else {
      draft.lacks_answer = true;
      if (reading.options.needs_answers)
        problems.add(ProblemKind::kItem, draft, "'response' is missing, or no text");
    }
    reading.add(std::move(draft));
  }
}

}  // namespace

/// MileBench's object {meta_data: {task_instruction}, data: [{sample_id, task_instruction_id,
/// task_instance: {context, images_path, choice_list}, response}]}: "{image#1}" or "{table#1}" in
/// the context is an image's place. The answer of a multiple choice is the option's text.
extern const DataFormat kMileBenchFormat{.name = "milebench",
                                         .looks = "an object with 'meta_data' and 'data'",
                                         .is_object = is_mile_bench,
                                         .read_object = read_mile_bench};

}  // namespace elastikv
