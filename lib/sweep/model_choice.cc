#include "sweep/model_choice.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/configs.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "base/keys.h"
#include "base/nearest_name.h"
#include "sweep/labels.h"
#include "sweep/placement.h"
#include "sweep/shared_keys.h"
#include "sweep/variants.h"

namespace elastikv {
namespace {

std::string day_of(const YamlFields& node) {
  std::string day = node.as_string();
  if (!parse_day(day)) node.fail_here(fmt::format("is '{}', a day like 2024-07-26 is needed", day));
  return day;
}

ValueForm<std::string> day_form() {
  ValueForm<std::string> form = text_form();
  form.read = day_of;
  form.takes = "day as `YYYY-MM-DD`";
  return form;
}

/// "auto" is no ratio: the checkpoint decides.
ValueForm<std::optional<ImageAspectRatio>> aspect_ratio_form() {
  using Ratio = std::optional<ImageAspectRatio>;
  return parsed_form<Ratio>(
      [](const std::string& name) {
        return name == "auto" ? Ratio() : Ratio(parse_image_aspect_ratio(name));
      },
      [](const Ratio& ratio) { return ratio ? image_aspect_ratio_name(*ratio) : "auto"; },
      {"auto", "crop", "pad"});
}

/// The variables of a chat template, each value as JSON.
void read_variables(const YamlFields& node, ModelChoice& model) {
  for (const std::string& name : node.keys()) {
    const YamlFields value = node.at(name);
    if (!value.is_scalar()) value.fail_here("needs true, false, a number or a text");
    model.prompt.variables[name] = variable_json(value.as_string());
  }
}

OrderedJson variables_json(const ModelChoice& model) {
  OrderedJson json;
  for (const auto& [name, value] : model.prompt.variables) json[name] = parse_json(value, name);
  return json;
}

void add_path(Keys<ModelChoice>& keys) {
  keys.add("path", &ModelChoice::path, filled_path_form(),
           "A checkpoint's folder. It is required unless `preset` names one.",
           {.lists = ListedValues{.order = 1, .named = false}});
}

/// What of a model is the same in a sweep's file and in a file of configs/models.
void add_input_keys(Keys<ModelChoice>& keys) {
  keys.add(
      "prompt_format", [](auto& model) -> auto& { return model.prompt.format; }, text_form(),
      "How prompts are written: one of `elastikv list prompts`; `auto` is the checkpoint's own "
      "chat template.",
      {.lists = ListedValues{.order = 2}});
  keys.add("image_aspect_ratio", &ModelChoice::image_aspect_ratio, aspect_ratio_form(),
           "What becomes of what a square would cut off an image; `auto`: as the checkpoint says.",
           {.lists = ListedValues{.order = 4}});
  keys.add("image_place", [](auto& model) -> auto& { return model.prompt.place; },
           named_form<ImagePlace>({ImagePlace::kDefault, ImagePlace::kBefore, ImagePlace::kAfter},
                                  image_place_name),
           "Where images go that a question does not place; `auto`: as the format says.",
           {.earlier = "picture_place", .lists = ListedValues{.order = 6}});
  keys.add(
      "pixels", &ModelChoice::pixels,
      parsed_form<PixelBackend>(parse_pixel_backend, pixel_backend_name, {"pil", "torchvision"}),
      "Whose pixels the image processor's are equal to.",
      {.written = Written::kWhereSet, .lists = ListedValues{.order = 5}});
  keys.add("system", [](auto& model) -> auto& { return model.prompt.system; }, text_form(),
           "The text of the system turn.", {.otherwise = "what the format writes"});
  keys.add("date", [](auto& model) -> auto& { return model.prompt.date; }, day_form(),
           "The day that a chat template takes for today.",
           {.otherwise = fmt::format("`{}`", PromptSettings::kDefaultDate),
            .lists = ListedValues{.order = 3}});
  keys.custom("chat_template_kwargs", {.read = read_variables, .write = variables_json}, "mapping",
              "Further variables of the chat template.");
}

/// A file of configs/models. `source` is for people.
const Keys<ModelChoice>& preset_keys() {
  static const Keys<ModelChoice> keys([](Keys<ModelChoice>& keys) {
    keys.custom("source", {}, "text", "Where the checkpoint is published.");
    add_path(keys);
    keys.add("dtype", &ModelChoice::dtype, dtype_form(), "The dtype it is published in.");
    keys.add("published_config", &ModelChoice::published_config, path_form(),
             "Its config.json, beside this file, for plans without the checkpoint.");
    add_input_keys(keys);
  });
  return keys;
}

/// Takes over what a model of configs/models says.
void read_preset(const YamlFields& node, ModelChoice& model) {
  const std::filesystem::path folder = configs_folder() / "models";
  const std::string name = node.as_string();
  const std::filesystem::path file = folder / (name + ".yaml");
  if (!path_exists(file)) {
    std::vector<std::string> known;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".yaml") known.push_back(entry.path().stem().string());
    }
    std::sort(known.begin(), known.end());
    node.fail_here(
        fmt::format("is '{}', which {} has not{}", name, folder.string(), suggestion(name, known)));
  }
  preset_keys().read(YamlFields::read(file), model);
  if (!model.published_config.empty()) model.published_config = folder / model.published_config;
}

/// One model, once for each of its dtypes.
std::vector<ModelChoice> read_one_model(const YamlFields& fields, const SweepOverrides& overrides) {
  ModelChoice model;
  model.origin = place_of(fields);
  model_keys().read(fields, model);
  if (model.path.empty()) fields.at("path");  // Error
  if (overrides.device) model.device = chosen_device(*overrides.device);
  std::vector<ModelChoice> models;
  for (const std::string& dtype : dtypes_of(fields, overrides.dtype, model.dtype)) {
    models.push_back(model);
    models.back().dtype = dtype;
  }
  return models;
}

}  // namespace

const Keys<ModelChoice>& model_keys() {
  static const Keys<ModelChoice> keys([](Keys<ModelChoice>& keys) {
    keys.custom("preset", {.read = read_preset}, "name",
                "A file of `configs/models`, which suggests the path, the dtype and how prompts "
                "are written.",
                {.written = Written::kNever, .lists = ListedValues{.order = 0, .named = false}});
    add_path(keys);
    add_placement<ModelChoice>(keys, "the folder's", [](const YamlFields&, ModelChoice& model) {
      model.label = folder_label(model.path);
    });
    add_input_keys(keys);
  });
  return keys;
}

std::vector<ModelChoice> read_models(const YamlFields& fields, const SweepOverrides& overrides) {
  require_no_name(fields, "label", {"preset", "path"});
  std::vector<ModelChoice> models;
  for (const Variant& variant : variants_of(fields, listed_keys(model_keys(), fields))) {
    for (ModelChoice& model : read_one_model(variant.fields, overrides)) {
      model.label += variant.suffix;
      models.push_back(std::move(model));
    }
  }
  return models;
}

}  // namespace elastikv
