#include "text/chat_template.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/strings.h"

namespace elastikv {
namespace {

constexpr const char* kJinjaFile = "chat_template.jinja";
constexpr const char* kJsonFile = "chat_template.json";
constexpr const char* kProcessorFile = "processor_config.json";
constexpr const char* kTokenizerFile = "tokenizer_config.json";
constexpr const char* kKey = "chat_template";

std::string normalized(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::string plain(text);
  unify_line_ends(plain);
  if (plain.ends_with('\n')) plain.pop_back();
  return plain;
}

ChatTemplate made_of(std::string_view text, std::string place, const char* file) {
  ChatTemplate found{normalized(text), std::move(place), file, ""};
  found.hash = content_hash(found.text);
  return found;
}

/// The template under a key of a JSON file: a text, or a list of named ones.
std::optional<ChatTemplate> in_json(const std::filesystem::path& folder, const char* name) {
  const std::filesystem::path file = folder / name;
  if (!path_exists(file)) return std::nullopt;
  const JsonFields fields = JsonFields::read(file);
  if (!fields.has(kKey)) return std::nullopt;
  const nlohmann::json& value = fields.json().at(kKey);
  const std::string place = fmt::format("{}, key '{}'", file.string(), kKey);
  if (!value.is_array()) return made_of(fields.string(kKey), place, name);
  std::vector<std::string> names;
  for (const JsonFields& entry : fields.objects(kKey)) {
    names.push_back(entry.string("name"));
    if (names.back() == "default") return made_of(entry.string("template"), place, name);
  }
  fields.fail_key(
      kKey, fmt::format("has no template called 'default' (only {}); name a prompt "
                        "format instead",
                        names.empty() ? "an empty list" : fmt::to_string(fmt::join(names, ", "))));
}

std::optional<ChatTemplate> in_jinja(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kJinjaFile;
  if (!path_exists(file)) return std::nullopt;
  return made_of(read_file(file), file.string(), kJinjaFile);
}

/// Puts what an object says of tokens, each a text or {"content": text}.
void put_tokens(const nlohmann::json& object, std::map<std::string, std::string>& tokens) {
  for (const auto& [name, value] : object.items()) {
    if (!name.ends_with("_token")) continue;
    if (value.is_string()) {
      tokens[name] = value.get<std::string>();
    } else if (value.is_object() && value.contains("content") && value["content"].is_string()) {
      tokens[name] = value["content"].get<std::string>();
    }
  }
}

}  // namespace

std::optional<ChatTemplate> find_chat_template(const std::filesystem::path& checkpoint,
                                               bool takes_images) {
  const auto as_processor = [&]() -> std::optional<ChatTemplate> {
    if (auto found = in_json(checkpoint, kProcessorFile)) return found;
    if (auto found = in_json(checkpoint, kJsonFile)) return found;
    return in_jinja(checkpoint);
  };
  const auto as_tokenizer = [&]() -> std::optional<ChatTemplate> {
    if (auto found = in_jinja(checkpoint)) return found;
    return in_json(checkpoint, kTokenizerFile);
  };
  if (takes_images) {
    if (auto found = as_processor()) return found;
    return as_tokenizer();
  }
  if (auto found = as_tokenizer()) return found;
  return as_processor();
}

std::map<std::string, std::string> template_tokens(const std::filesystem::path& checkpoint) {
  std::map<std::string, std::string> tokens;
  for (const char* name : {"special_tokens_map.json", kTokenizerFile}) {
    const std::filesystem::path file = checkpoint / name;
    if (!path_exists(file)) continue;
    const JsonFields fields = JsonFields::read(file);
    put_tokens(fields.json(), tokens);
    const auto extra = fields.json().find("extra_special_tokens");
    if (extra != fields.json().end() && extra->is_object()) put_tokens(*extra, tokens);
  }
  return tokens;
}

}  // namespace elastikv
