#include "text/prompt_writer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fields.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "text/chat_template.h"
#include "text/template_writer.h"

namespace elastikv {
namespace {

/// A format of configs/prompts.
class FormatWriter final : public PromptWriter {
 public:
  /// `why`: in which way it was chosen, for source().
  FormatWriter(PromptFormat format, const PromptSettings& settings, std::string why)
      : format_(std::move(format)), settings_(settings), why_(std::move(why)) {
    if (settings_.date || !settings_.variables.empty()) {
      fail(
          "prompt format '{}' has no {}, which only a checkpoint's chat template may have; leave "
          "'{}' out",
          format_.name, settings_.date ? "date" : "variables",
          settings_.date ? "date" : "chat_template_kwargs");
    }
    if (settings_.system && !format_.roles.contains("system")) {
      fail("prompt format '{}' has no form for a system turn; leave 'system' out", format_.name);
    }
  }

  Prompt write(const std::vector<Turn>& turns, bool answer_follows) const override {
    if (!settings_.system || turns.empty() || turns.front().role == "system")
      return format_.render(turns, answer_follows, settings_.place);
    std::vector<Turn> all = turns;
    all.insert(all.begin(), Turn{"system", *settings_.system, /*images=*/0});
    return format_.render(all, answer_follows, settings_.place);
  }

  std::string name() const override { return format_.name; }
  std::string source() const override {
    return fmt::format("format '{}' of configs/prompts, {}", format_.name, why_);
  }
  std::string signature() const override {
    return fmt::format("prompt:{}{}", format_.name, settings_.system ? "|system:set" : "");
  }
  std::string answer_end() const override { return format_.answer_end; }
  bool adds_special_tokens() const override { return true; }

 private:
  PromptFormat format_;
  PromptSettings settings_;
  std::string why_;
};

/// The first of config.json's "architectures"; empty when it names none.
std::string architecture_of(const std::filesystem::path& checkpoint) {
  const auto file = checkpoint / "config.json";
  if (!path_exists(file)) return "";
  const JsonFields config = JsonFields::read(file);
  if (!config.has("architectures")) return "";
  const std::vector<std::string> names = config.strings("architectures");
  return names.empty() ? "" : names.front();
}

/// The format that is meant for a checkpoint without a chat template.
PromptFormat format_of_architecture(const std::filesystem::path& checkpoint,
                                    const std::string& architecture) {
  std::vector<PromptFormat> formats = prompt_formats();
  std::vector<std::string> names;
  std::vector<PromptFormat*> meant;
  for (PromptFormat& format : formats) {
    names.push_back(format.name);
    if (std::find(format.architectures.begin(), format.architectures.end(), architecture) !=
        format.architectures.end())
      meant.push_back(&format);
  }
  if (meant.size() == 1) return std::move(*meant.front());
  fail(
      "{}: no chat template (chat_template.jinja, or the key 'chat_template' of "
      "processor_config.json, chat_template.json or tokenizer_config.json); name a prompt format: "
      "{}",
      checkpoint.string(), fmt::join(names, ", "));
}

}  // namespace

std::optional<std::chrono::year_month_day> parse_day(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  int64_t year = 0;
  int64_t month = 0;
  int64_t day = 0;
  if (!parse_int(text.substr(0, 4), year) || !parse_int(text.substr(5, 2), month) ||
      !parse_int(text.substr(8, 2), day))
    return std::nullopt;
  const std::chrono::year_month_day found{std::chrono::year(static_cast<int>(year)),
                                          std::chrono::month(static_cast<unsigned>(month)),
                                          std::chrono::day(static_cast<unsigned>(day))};
  if (year < 1 || !found.ok()) return std::nullopt;
  return found;
}

std::string variable_json(std::string_view text) {
  return nlohmann::json::accept(text) ? std::string(text) : nlohmann::json(text).dump();
}

std::unique_ptr<PromptWriter> make_prompt_writer(const PromptModel& model,
                                                 const PromptSettings& settings) {
  if (settings.format != PromptSettings::kAuto) {
    return std::make_unique<FormatWriter>(prompt_format(settings.format), settings, "as named");
  }
  if (auto found = find_chat_template(model.checkpoint, model.takes_images))
    return make_template_writer(std::move(*found), model, settings);
  const std::string architecture = architecture_of(model.checkpoint);
  return std::make_unique<FormatWriter>(
      format_of_architecture(model.checkpoint, architecture), settings,
      fmt::format("which is for {} (the folder has no chat template)", architecture));
}

}  // namespace elastikv
