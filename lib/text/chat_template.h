#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace elastikv {

/// A checkpoint's chat template as its files have it.
struct ChatTemplate {
  /// Without a byte order mark, line ends as "\n", without the one that ends it (Jinja2 drops it):
  /// copies of a file that differ in these are the same template.
  std::string text;
  /// The file, and the key in it where there is one: "x/chat_template.jinja",
  /// "x/tokenizer_config.json, key 'chat_template'".
  std::string place;
  /// The file's name alone.
  std::string file;
  /// content_hash of the text.
  std::string hash;
};

/// The template that transformers 5 takes. With images, as its processors look for it: the key
/// 'chat_template' of processor_config.json, chat_template.json, chat_template.jinja; a tokenizer
/// alone takes chat_template.jinja, then tokenizer_config.json. Where none of these is there, what
/// the other of the two would take. Of several named templates the one called "default". Nothing
/// when no file has one; Error naming file and key for a malformed entry, and where there are named
/// templates of which none is "default".
std::optional<ChatTemplate> find_chat_template(const std::filesystem::path& checkpoint,
                                               bool takes_images);

/// The texts of the tokens that templates name: "bos_token" -> "<s>", as tokenizer_config.json
/// (extra_special_tokens included), else special_tokens_map.json, has them.
std::map<std::string, std::string> template_tokens(const std::filesystem::path& checkpoint);

}  // namespace elastikv
