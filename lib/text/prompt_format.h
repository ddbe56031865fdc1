#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// Where a picture stands in a prompt's text.
inline constexpr std::string_view kImagePlaceholder = "<image>";

/// One turn of a conversation.
struct Turn {
  /// "system" (the first turn only), "user" or "assistant".
  std::string role;
  /// May hold `<image>` anywhere, once per picture.
  std::string text;
  /// Pictures to put in front of the text, each followed by a newline.
  int64_t images = 0;
};

/// A stretch of text, or a picture.
struct PromptChunk {
  enum class Kind { kText, kImage };
  Kind kind = Kind::kText;
  /// Empty for a picture.
  std::string text;
  bool operator==(const PromptChunk&) const = default;
};

/// A conversation as the model reads it.
struct Prompt {
  /// With `<image>` for each picture.
  std::string text;
  /// The same, cut at the pictures; no text chunk is empty.
  std::vector<PromptChunk> chunks;
};

/// How a family of models wants a conversation written.
struct PromptFormat {
  std::string name;
  /// Where the form comes from.
  std::string source;
  /// What the model writes to end its answer; empty when the format does not say.
  std::string answer_end;
  /// Writes the turns; with `answer_follows`, up to where the model's answer begins.
  std::string (*write)(const std::vector<Turn>& turns, bool answer_follows) = nullptr;

  /// Error for no turns, an unknown role, or a system turn that is not the first.
  Prompt render(const std::vector<Turn>& turns, bool answer_follows = true) const;
};

/// All formats, in the order in which they are listed to the user.
const std::vector<PromptFormat>& prompt_formats();
/// Error naming the nearest format when there is none of this name.
const PromptFormat& prompt_format(std::string_view name);

/// The format to use for a checkpoint: the one named, or, for an empty name, the one that writes
/// what the checkpoint's chat template (chat_template.jinja, chat_template.json,
/// tokenizer_config.json) would. Error saying to name one when the template is missing or none of
/// those known.
const PromptFormat& choose_prompt_format(const std::filesystem::path& checkpoint,
                                         std::string_view name = "");

/// Cuts a text at each `<image>`.
std::vector<PromptChunk> cut_at_images(std::string_view text);

}  // namespace elastikv
