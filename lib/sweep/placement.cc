#include "sweep/placement.h"

#include "base/device.h"
#include "base/yaml_values.h"
#include "sweep/set_options.h"

namespace elastikv {
namespace {

std::string short_dtype(const std::string& name) { return dtype_name(parse_dtype(name)); }

OrderedJson name_json(const std::string& name) { return name; }

}  // namespace

ValueForm<std::string> device_form() {
  return {[](const YamlFields& node) {
            std::string name = node.as_string();
            return checked(node, [&] { return chosen_device(name); });
          },
          name_json, "`cpu`, `cuda` or `cuda:N`"};
}

ValueForm<std::string> dtype_form() {
  return {[](const YamlFields& node) {
            const std::string name = node.as_string();
            return checked(node, [&] { return short_dtype(name); });
          },
          name_json, "`fp32`, `bf16` or `fp16`"};
}

std::string chosen_device(const std::string& name) {
  parse_device(name);
  return name;
}

std::vector<std::string> dtypes_of(const YamlFields& fields,
                                   const std::optional<std::string>& chosen,
                                   const std::string& otherwise) {
  std::vector<std::string> dtypes;
  if (chosen) {
    for (const std::string& name : split_commas(*chosen)) dtypes.push_back(short_dtype(name));
  } else if (fields.has("dtype")) {
    for (const YamlFields& node : one_or_list(fields.at("dtype")))
      dtypes.push_back(dtype_form().read(node));
  } else {
    dtypes.push_back(short_dtype(otherwise));
  }
  return dtypes;
}

}  // namespace elastikv
