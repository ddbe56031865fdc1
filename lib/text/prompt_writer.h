#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/prompt_format.h"
#include "text/tokenizer.h"

namespace elastikv {

/// How the prompts of a model are to be written.
struct PromptSettings {
  static constexpr const char* kAuto = "auto";
  /// A format of configs/prompts, or "auto": the checkpoint's own chat template.
  std::string format = kAuto;
  /// The text of the system turn; unset: what the template or format writes without one.
  std::optional<std::string> system{};
  /// The day that a template takes for today, as YYYY-MM-DD; unset: kDefaultDate. A prompt must
  /// not depend on the day it is written.
  std::optional<std::string> date{};
  /// Further variables of the template and their values as JSON: "enable_thinking" -> "false".
  std::map<std::string, std::string> variables{};
  /// Where images go that a question does not place.
  ImagePlace place = ImagePlace::kDefault;

  /// The date that Llama 3's published templates fall back to where they are not told today's.
  static constexpr const char* kDefaultDate = "2024-07-26";
  bool operator==(const PromptSettings&) const = default;
};

/// A day of the calendar as YYYY-MM-DD; nothing for any other text.
std::optional<std::chrono::year_month_day> parse_day(std::string_view text);

/// The value of a template's variable as JSON: the text itself where it is JSON (false, 3, "x"),
/// else a JSON string of it.
std::string variable_json(std::string_view text);

/// Writes conversations as one model reads them.
class PromptWriter {
 public:
  virtual ~PromptWriter() = default;

  /// Writes the turns; with `answer_follows`, up to where the model's answer begins. A turn's
  /// images stand where its text says `<image>`, else where the settings or the format put them.
  /// A system turn goes before that of the settings. Error for no turns, a role that is unknown or
  /// that there is no form for, a system turn that is not the first, and for what the template
  /// itself refuses, in its words.
  virtual Prompt write(const std::vector<Turn>& turns, bool answer_follows = true) const = 0;

  /// The name of a format, or kChatTemplate.
  virtual std::string name() const = 0;
  /// Where the form comes from, for people: file, hash, and what was set beside it.
  virtual std::string source() const = 0;
  /// The same in the manner of signatures: "prompt:vicuna-v1", or
  /// "prompt:chat_template.jinja#98f63cc3|system:set".
  virtual std::string signature() const = 0;
  /// The token with which an answer ends; empty when the form does not say.
  virtual std::string answer_end() const = 0;
  /// Whether the special tokens that the tokenizer puts around a text go around a prompt that does
  /// not begin with them itself.
  virtual bool adds_special_tokens() const = 0;

  static constexpr const char* kChatTemplate = "chat-template";
};

/// What of a model its prompts depend on.
struct PromptModel {
  std::filesystem::path checkpoint;
  /// Whether prompts may hold images.
  bool takes_images = false;
  /// The id that stands for an image in prompts; below 0 where no token does.
  int64_t image_token = -1;
  /// Null where the folder has none yet: then the text of the image's token is found in what the
  /// template writes, and the end of an answer is not known.
  const Tokenizer* tokenizer = nullptr;
};

/// The writer that settings ask for. With the format "auto" it is the checkpoint's chat template;
/// where the folder has none, the only format of configs/prompts that is meant for its architecture
/// (config.json). Error when there is neither, when the template cannot be read (naming file and
/// line), and for a system text, a date or a variable that the form has no place for.
std::unique_ptr<PromptWriter> make_prompt_writer(const PromptModel& model,
                                                 const PromptSettings& settings);

}  // namespace elastikv
