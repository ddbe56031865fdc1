#include "text/tokenizer_settings.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// In the order in which missing ones get their ids.
constexpr const char* kParts[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};
constexpr const char* kAdditional = "additional_special_tokens";

/// A token is written as its text, or as an object that says how it is looked for.
AddedToken read_token(const JsonFields& file, const std::string& key, const Json& value) {
  AddedToken token;
  if (value.is_string()) {
    token.content = value.get<std::string>();
  } else if (value.is_object()) {
    const JsonFields fields(value, file.origin(), key);
    token.content = fields.string("content");
    token.single_word = fields.boolean("single_word", /*otherwise=*/false);
    token.lstrip = fields.boolean("lstrip", /*otherwise=*/false);
    token.rstrip = fields.boolean("rstrip", /*otherwise=*/false);
    token.special = fields.boolean("special", /*otherwise=*/false);
    token.normalized = fields.boolean("normalized", /*otherwise=*/!token.special);
  } else {
    file.fail_key(
        key, fmt::format("is {}, a text or an object with 'content' is needed", value.type_name()));
  }
  if (token.content.empty()) file.fail_key(key, "is empty");
  return token;
}

/// Collects the tokens and sees that ids and texts stay apart.
class Collector {
 public:
  Collector(TokenizerSettings& settings, const VocabularyView& vocabulary)
      : settings_(settings), vocabulary_(vocabulary) {}

  void add(AddedToken token, const JsonFields& file, const std::string& key) {
    if (token.id < 0 || token.id >= kTokenIdLimit) {
      file.fail_key(key, fmt::format("has the id {}, an integer from 0 to {} is needed", token.id,
                                     kTokenIdLimit - 1));
    }
    if (const auto known = vocabulary_.find(token.content); known && *known != token.id) {
      file.fail_key(key, fmt::format("has the id {}, but the vocabulary gives '{}' the id {}",
                                     token.id, token.content, *known));
    }
    for (const AddedToken& other : settings_.added) {
      if (other.id == token.id) {
        file.fail_key(key, fmt::format("has the id {}, which is already the id of '{}'", token.id,
                                       other.content));
      }
      if (other.content == token.content) {
        file.fail_key(key,
                      fmt::format("is '{}', which already has the id {}", token.content, other.id));
      }
    }
    settings_.added.push_back(std::move(token));
  }

  /// A token that some part names: takes its id from the vocabulary or the next free one.
  void add_named(AddedToken token) {
    for (const AddedToken& other : settings_.added) {
      if (other.content == token.content) return;
    }
    token.special = true;
    token.normalized = false;
    token.id = vocabulary_.find(token.content).value_or(-1);
    if (token.id < 0) {
      token.id = vocabulary_.size + std::count_if(settings_.added.begin(), settings_.added.end(),
                                                  [&](const AddedToken& other) {
                                                    return !vocabulary_.find(other.content);
                                                  });
    }
    settings_.added.push_back(std::move(token));
  }

 private:
  TokenizerSettings& settings_;
  const VocabularyView& vocabulary_;
};

JsonFields read_if_present(const std::filesystem::path& file) {
  if (path_exists(file)) return JsonFields::read(file);
  return {Json::object(), file.string()};
}

void read_added_tokens_decoder(const JsonFields& config, Collector& collector) {
  const JsonFields tokens = config.object("added_tokens_decoder");
  for (const auto& item : tokens.json().items()) {
    const std::string key = fmt::format("added_tokens_decoder.{}", item.key());
    AddedToken token = read_token(config, key, item.value());
    const char* end = item.key().data() + item.key().size();
    const auto [read_to, status] = std::from_chars(item.key().data(), end, token.id);
    if (status != std::errc() || read_to != end) {
      config.fail_key(key, "is no id: an integer is needed as the key");
    }
    collector.add(std::move(token), config, key);
  }
}

/// The tokens that a file names, over those known so far.
void read_names(const JsonFields& file, TokenizerSettings& settings,
                std::map<std::string, AddedToken>& tokens) {
  for (const char* part : kParts) {
    const auto found = file.json().find(part);
    if (found == file.json().end()) continue;
    settings.named.erase(part);
    tokens.erase(part);
    if (found->is_null()) continue;
    AddedToken token = read_token(file, part, *found);
    settings.named[part] = token.content;
    tokens[part] = std::move(token);
  }
  const auto found = file.json().find(kAdditional);
  if (found == file.json().end() || found->is_null()) return;
  if (!found->is_array()) file.fail_key(kAdditional, "is no list, a list of tokens is needed");
  for (size_t i = 0; i < found->size(); ++i) {
    const std::string key = fmt::format("{}.{}", kAdditional, i);
    AddedToken token = read_token(file, key, (*found)[i]);
    if (!settings.additional.insert(token.content).second) continue;
    // Numbered with leading zeros, so that they keep their order behind the named parts.
    tokens[fmt::format("~{:08}", tokens.size())] = std::move(token);
  }
}

}  // namespace

std::optional<int64_t> TokenizerSettings::id_of(std::string_view part) const {
  const auto name = named.find(part);
  if (name == named.end()) return std::nullopt;
  for (const AddedToken& token : added) {
    if (token.content == name->second) return token.id;
  }
  return std::nullopt;
}

bool TokenizerSettings::is_special(std::string_view text) const {
  return additional.contains(text) ||
         std::any_of(named.begin(), named.end(),
                     [&](const auto& item) { return item.second == text; });
}

JsonFields read_tokenizer_config(const std::filesystem::path& folder) {
  return read_if_present(folder / "tokenizer_config.json");
}

TokenizerSettings read_tokenizer_settings(
    const std::filesystem::path& folder, const VocabularyView& vocabulary,
    const std::map<std::string, std::string, std::less<>>& defaults) {
  TokenizerSettings settings{read_tokenizer_config(folder), {}, {}, {}};
  Collector collector(settings, vocabulary);
  std::map<std::string, AddedToken> tokens;
  for (const auto& [part, text] : defaults) {
    settings.named[part] = text;
    tokens[part].content = text;
  }
  read_names(settings.config, settings, tokens);
  if (settings.config.has("added_tokens_decoder")) {
    read_added_tokens_decoder(settings.config, collector);
  } else {
    read_names(read_if_present(folder / "special_tokens_map.json"), settings, tokens);
    const JsonFields added = read_if_present(folder / "added_tokens.json");
    for (const std::string& text : added.keys()) {
      AddedToken token;
      token.content = text;
      token.id = added.integer(text);
      token.special = settings.is_special(text);
      token.normalized = !token.special;
      collector.add(std::move(token), added, text);
    }
  }
  for (const char* part : kParts) {
    const auto found = tokens.find(part);
    if (found != tokens.end()) collector.add_named(found->second);
  }
  for (const auto& [part, token] : tokens) {
    if (part.starts_with('~')) collector.add_named(token);
  }
  std::sort(settings.added.begin(), settings.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return settings;
}

}  // namespace elastikv
