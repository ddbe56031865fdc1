#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/json_fields.h"

namespace elastikv {

/// How the kinds of one part of a tokenizer.json (normalizer, decoder, ...) are built, by the name
/// in their key "type".
template <typename Part>
using ComponentMakers =
    std::map<std::string, std::function<std::unique_ptr<Part>(const JsonFields&)>>;

/// Builds the part that `fields` describes; Error naming the key for a type that `makers` lacks.
template <typename Part>
std::unique_ptr<Part> make_component(const JsonFields& fields,
                                     const ComponentMakers<Part>& makers) {
  const std::string type = fields.string("type");
  const auto found = makers.find(type);
  if (found == makers.end()) {
    std::vector<std::string> known;
    for (const auto& [name, maker] : makers) known.push_back(name);
    fields.fail_key("type", fmt::format("is '{}', which is not supported; supported: {}", type,
                                        fmt::join(known, ", ")));
  }
  return found->second(fields);
}

}  // namespace elastikv
