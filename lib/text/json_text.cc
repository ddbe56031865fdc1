#include "text/json_text.h"

#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

void escape(Json& json) {
  if (json.is_string()) {
    auto& text = json.get_ref<std::string&>();
    if (!is_valid_utf8(text)) text = escape_broken_utf8(text);
  } else if (json.is_array()) {
    for (Json& item : json) escape(item);
  } else if (json.is_object()) {
    Json escaped = Json::object();
    for (auto& [key, value] : json.items()) {
      escape(value);
      escaped[escape_broken_utf8(key)] = std::move(value);
    }
    json = std::move(escaped);
  }
}

}  // namespace

std::string escape_broken_utf8(std::string_view text) {
  std::string escaped;
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = utf8_step(text, i);
    const std::string_view bytes = text.substr(i, step.size);
    if (step.valid) {
      escaped += bytes;
    } else {
      for (const char byte : bytes)
        escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    i += step.size;
  }
  return escaped;
}

std::string json_text(Json json, int indent) {
  escape(json);
  return json.dump(indent);
}

}  // namespace elastikv
