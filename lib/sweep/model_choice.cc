#include "sweep/model_choice.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/configs.h"
#include "base/device.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "sweep/config_fields.h"

namespace elastikv {
namespace {

std::string_view place_name(PicturePlace place) {
  switch (place) {
    case PicturePlace::kDefault:
      return "auto";
    case PicturePlace::kBefore:
      return "before";
    case PicturePlace::kAfter:
      return "after";
  }
  throw InternalError("a picture's place without a name");
}

/// The value of a template's variable as JSON.
std::string template_value(const YamlFields& node) {
  if (!node.is_scalar()) node.fail_here("needs true, false, a number or a text");
  return variable_json(node.as_string());
}

/// What of a prompt only the checkpoint's own template, or a system turn, has a place for.
void read_template_settings(const YamlFields& fields, PromptSettings& prompt) {
  if (fields.has("system")) prompt.system = fields.string("system");
  if (fields.has("date")) {
    const YamlFields node = fields.at("date");
    prompt.date = node.as_string();
    if (!parse_day(*prompt.date))
      node.fail_here(fmt::format("is '{}', a day like 2024-07-26 is needed", *prompt.date));
  }
  if (!fields.has("chat_template_kwargs")) return;
  const YamlFields variables = fields.at("chat_template_kwargs");
  for (const std::string& name : variables.keys())
    prompt.variables[name] = template_value(variables.at(name));
}

/// Those keys and what read_model_settings reads.
std::vector<std::string> with_settings(std::vector<std::string> keys) {
  for (const char* key : {"path", "prompt_format", "system", "date", "chat_template_kwargs",
                          "image_aspect_ratio", "pixels", "picture_place"})
    keys.emplace_back(key);
  return keys;
}

/// What of a model is the same in a sweep's file and in a file of configs/models.
void read_model_settings(const YamlFields& fields, ModelChoice& model) {
  if (fields.has("path")) model.path = fields.string("path");
  model.prompt.format = fields.string("prompt_format", model.prompt.format);
  read_template_settings(fields, model.prompt);
  if (fields.has("image_aspect_ratio")) {
    const YamlFields node = fields.at("image_aspect_ratio");
    if (node.as_string() == "auto") {
      model.image_aspect_ratio.reset();
    } else {
      model.image_aspect_ratio =
          checked(node, [&] { return parse_image_aspect_ratio(node.as_string()); });
    }
  }
  if (fields.has("pixels")) {
    const YamlFields node = fields.at("pixels");
    model.pixels = checked(node, [&] { return parse_pixel_backend(node.as_string()); });
  }
  if (!fields.has("picture_place")) return;
  const YamlFields node = fields.at("picture_place");
  for (const PicturePlace place :
       {PicturePlace::kDefault, PicturePlace::kBefore, PicturePlace::kAfter}) {
    if (node.as_string() != place_name(place)) continue;
    model.prompt.place = place;
    return;
  }
  node.fail_here(fmt::format("is '{}', needs auto, before or after", node.as_string()));
}

/// A model of configs/models; returns the dtypes it suggests.
std::string read_model_preset(const YamlFields& node, ModelChoice& model) {
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
  const YamlFields fields = YamlFields::read(file);
  fields.require_known_keys(with_settings({"source", "dtype", "published_config"}));
  read_model_settings(fields, model);
  if (fields.has("published_config"))
    model.published_config = folder / fields.string("published_config");
  return fields.string("dtype", model.dtype);
}

/// One model, once for each of its dtypes.
std::vector<ModelChoice> read_one_model(const YamlFields& fields, const SweepOverrides& overrides) {
  fields.require_known_keys(with_settings({"preset", "label", "device", "dtype"}));
  ModelChoice model;
  model.origin = place_of(fields);
  std::string dtype = model.dtype;
  if (fields.has("preset")) {
    dtype = read_model_preset(fields.at("preset"), model);
  } else {
    fields.at("path");  // there has to be one
  }
  read_model_settings(fields, model);
  if (model.path.empty()) fields.at("path").fail_here("is empty");
  if (fields.has("label")) {
    model.label = label_of(fields.at("label"));
  } else {
    model.label = folder_label(model.path);
  }
  model.device = overrides.device ? *overrides.device : fields.string("device", model.device);
  const auto check_device = [&] { return parse_device(model.device); };
  if (overrides.device) {
    check_device();
  } else {
    checked(fields.has("device") ? fields.at("device") : fields, check_device);
  }

  std::vector<ModelChoice> models;
  const auto add = [&](const std::string& name) {
    model.dtype = dtype_name(parse_dtype(name));
    models.push_back(model);
  };
  if (overrides.dtype) {
    for (const std::string& name : split_commas(*overrides.dtype)) add(name);
  } else if (fields.has("dtype")) {
    for (const YamlFields& node : one_or_list(fields.at("dtype"))) {
      const std::string name = node.as_string();
      checked(node, [&] { add(name); });
    }
  } else {
    add(dtype);
  }
  return models;
}

}  // namespace

std::vector<ModelChoice> read_models(const YamlFields& fields, const SweepOverrides& overrides) {
  require_no_name(fields, "label", {"preset", "path"});
  std::vector<ModelChoice> models;
  for (const Variant& variant : variants_of(fields, {{"preset", /*named=*/false},
                                                     {"path", /*named=*/false},
                                                     {"prompt_format"},
                                                     {"date"},
                                                     {"image_aspect_ratio"},
                                                     {"pixels"},
                                                     {"picture_place"}})) {
    for (ModelChoice& model : read_one_model(variant.fields, overrides)) {
      model.label += variant.suffix;
      models.push_back(std::move(model));
    }
  }
  return models;
}

nlohmann::ordered_json model_json(const ModelChoice& model) {
  nlohmann::ordered_json entry{
      {"path", model.path.string()},
      {"label", model.label},
      {"device", model.device},
      {"dtype", model.dtype},
      {"prompt_format", model.prompt.format},
      {"image_aspect_ratio",
       model.image_aspect_ratio ? image_aspect_ratio_name(*model.image_aspect_ratio) : "auto"},
      {"picture_place", place_name(model.prompt.place)}};
  // Written only where they are set: earlier records were made without them.
  if (model.pixels != PixelBackend::kPil) entry["pixels"] = pixel_backend_name(model.pixels);
  if (model.prompt.system) entry["system"] = *model.prompt.system;
  if (model.prompt.date) entry["date"] = *model.prompt.date;
  for (const auto& [name, value] : model.prompt.variables)
    entry["chat_template_kwargs"][name] = parse_json(value, name);
  return entry;
}

}  // namespace elastikv
