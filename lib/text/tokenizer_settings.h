#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fields.h"
#include "text/added_tokens.h"

namespace elastikv {

/// A vocabulary as far as the files beside it are concerned.
struct VocabularyView {
  std::function<std::optional<int64_t>(std::string_view)> find;
  int64_t size = 0;
};

/// What the files beside a vocabulary without a tokenizer.json say: tokenizer_config.json and,
/// where that has no "added_tokens_decoder", added_tokens.json and special_tokens_map.json.
struct TokenizerSettings {
  /// tokenizer_config.json; empty when there is none.
  JsonFields config;
  /// By id, each id and each text once.
  std::vector<AddedToken> added;
  /// The text of a token by its part: "bos_token" -> "<s>".
  std::map<std::string, std::string, std::less<>> named;
  /// The texts under "additional_special_tokens".
  std::set<std::string, std::less<>> additional;

  /// The id of a part's token; nothing when no token has it.
  std::optional<int64_t> id_of(std::string_view part) const;
  /// Whether a text is one of the named or additional tokens.
  bool is_special(std::string_view text) const;
};

/// Reads the settings of a folder. `defaults` names the parts that the files leave out; a named
/// token that is neither added nor in the vocabulary gets the next free id. Error naming file and
/// key for a malformed entry, an id that is out of range or another token's.
TokenizerSettings read_tokenizer_settings(
    const std::filesystem::path& folder, const VocabularyView& vocabulary,
    const std::map<std::string, std::string, std::less<>>& defaults);

/// tokenizer_config.json alone; empty when there is none.
JsonFields read_tokenizer_config(const std::filesystem::path& folder);

}  // namespace elastikv
