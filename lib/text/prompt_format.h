#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// Where an image stands in a prompt's text.
inline constexpr std::string_view kImagePlaceholder = "<image>";

/// One turn of a conversation.
struct Turn {
  /// "system" (the first turn only), "user" or "assistant".
  std::string role;
  /// May hold `<image>` anywhere, once per image.
  std::string text;
  /// Images to put before or behind the text, beside those that the text places itself.
  int64_t images = 0;
};

/// A user's question about so many images, which stand where it says `<image>`, if it does.
Turn user_turn(std::string question, int64_t images);

/// Where the images of a turn go.
enum class ImagePlace { kDefault, kBefore, kAfter };
/// "auto", "before" or "after".
std::string_view image_place_name(ImagePlace place);

/// A stretch of text, or an image.
struct PromptChunk {
  enum class Kind { kText, kImage };
  Kind kind = Kind::kText;
  /// Empty for an image.
  std::string text;
  bool operator==(const PromptChunk&) const = default;
};

/// A conversation as the model reads it.
struct Prompt {
  /// With `<image>` for each image.
  std::string text;
  /// The same, cut at the images; no text chunk is empty.
  std::vector<PromptChunk> chunks;
};

/// How a family of models wants a conversation written: a file of configs/prompts.
struct PromptFormat {
  /// What stands around the text of a role's turns.
  struct Frame {
    std::string before;
    /// Instead of `before` where the turn begins with an image.
    std::string before_image;
    std::string after;
  };
  struct Images {
    /// kBefore or kAfter.
    ImagePlace place = ImagePlace::kBefore;
    /// An image, wherever it stands: holds `<image>` once; {n} is its number within the turn.
    std::string text{kImagePlaceholder};
    /// Between two images of a turn, between them and the text that follows, and between the text
    /// and the images that follow.
    std::string between = "\n";
    std::string then_text = "\n";
    std::string text_then = "\n";
  };

  /// The file's name without extension.
  std::string name;
  /// Where the form comes from.
  std::string source;
  /// What every prompt begins with.
  std::string start;
  /// The text of the system turn of a conversation that begins with no such turn.
  std::optional<std::string> system;
  std::map<std::string, Frame, std::less<>> roles;
  /// What invites the model's answer.
  std::string answer;
  /// What the model writes to end its answer; empty when the format does not say.
  std::string answer_end;
  /// Whether white space at both ends of a turn's text goes.
  bool trim = false;
  Images images;
  /// Architectures (config.json) whose checkpoints use this format when they have no chat template.
  std::vector<std::string> architectures;

  /// Writes the turns; with `answer_follows`, up to where the model's answer begins. Error for no
  /// turns, a role that is unknown or that this format has no form for, or a system turn that is
  /// not the first.
  Prompt render(const std::vector<Turn>& turns, bool answer_follows = true,
                ImagePlace place = ImagePlace::kDefault) const;
};

/// Reads a format; Error naming file, line and key for an unknown, missing or malformed entry.
PromptFormat read_prompt_format(const std::filesystem::path& file);
/// The formats of configs/prompts, sorted by name. Error when the folder or a file cannot be read.
std::vector<PromptFormat> prompt_formats();
/// Error naming the nearest format when there is none of this name.
PromptFormat prompt_format(std::string_view name);

/// Error for no turns, a role that is unknown, or a system turn that is not the first.
void check_turns(const std::vector<Turn>& turns);

/// Cuts a text at each `<image>`.
std::vector<PromptChunk> cut_at_images(std::string_view text);

}  // namespace elastikv
