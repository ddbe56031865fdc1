#include "text/prompt_format.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/configs.h"
#include "base/error.h"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "base/yaml_fields.h"

namespace elastikv {
namespace {

const std::vector<std::string> kRoles{"system", "user", "assistant"};

/// The text of a turn with `<image>` for each of its pictures.
std::string with_pictures(const PromptFormat& format, const Turn& turn, PicturePlace place) {
  const std::string_view text = format.trim ? trimmed(turn.text) : std::string_view(turn.text);
  if (turn.images == 0) return std::string(text);
  if (place == PicturePlace::kDefault) place = format.pictures.place;
  std::string pictures;
  for (int64_t i = 0; i < turn.images; ++i) {
    if (i > 0) pictures += format.pictures.between;
    pictures += kImagePlaceholder;
  }
  if (place == PicturePlace::kAfter) {
    return fmt::format("{}{}{}", text, format.pictures.text_then, pictures);
  }
  return fmt::format("{}{}{}", pictures, format.pictures.then_text, text);
}

/// Writes each `<image>` as the format has it.
std::string spell_pictures(const PromptFormat& format, std::string_view text) {
  constexpr std::string_view kNumber = "{n}";
  std::string result;
  int64_t number = 0;
  for (const PromptChunk& chunk : cut_at_images(text)) {
    if (chunk.kind == PromptChunk::Kind::kText) {
      result += chunk.text;
      continue;
    }
    ++number;
    const std::string& form = format.pictures.text;
    const size_t at = form.find(kNumber);
    if (at == std::string::npos) {
      result += form;
    } else {
      result += fmt::format("{}{}{}", form.substr(0, at), number, form.substr(at + kNumber.size()));
    }
  }
  return result;
}

std::vector<std::string> names_of(const std::vector<PromptFormat>& formats) {
  std::vector<std::string> names;
  names.reserve(formats.size());
  for (const PromptFormat& format : formats) names.push_back(format.name);
  return names;
}

std::vector<std::string> strings_of(const YamlFields& fields, const char* key) {
  std::vector<std::string> strings;
  if (!fields.has(key)) return strings;
  for (const YamlFields& item : fields.at(key).items()) strings.push_back(item.as_string());
  return strings;
}

PromptFormat::Pictures read_pictures(const YamlFields& fields) {
  fields.require_known_keys({"place", "text", "between", "then_text", "text_then"});
  PromptFormat::Pictures pictures;
  const std::string place = fields.string("place", "before");
  if (place != "before" && place != "after") {
    fields.at("place").fail_here(fmt::format("is '{}', before or after is needed", place));
  }
  pictures.place = place == "before" ? PicturePlace::kBefore : PicturePlace::kAfter;
  pictures.text = fields.string("text", pictures.text);
  const size_t at = pictures.text.find(kImagePlaceholder);
  const bool once =
      at != std::string::npos && pictures.text.find(kImagePlaceholder, at + 1) == std::string::npos;
  if (!once) {
    fields.at("text").fail_here(
        fmt::format("is '{}', which has to hold {} once", pictures.text, kImagePlaceholder));
  }
  pictures.between = fields.string("between", pictures.between);
  pictures.then_text = fields.string("then_text", pictures.then_text);
  pictures.text_then = fields.string("text_then", pictures.text_then);
  return pictures;
}

}  // namespace

Turn user_turn(std::string question, int64_t pictures) {
  const bool placed = question.find(kImagePlaceholder) != std::string::npos;
  return {"user", std::move(question), placed ? 0 : pictures};
}

PromptFormat read_prompt_format(const std::filesystem::path& file) {
  const YamlFields fields = YamlFields::read(file);
  fields.require_known_keys({"source", "start", "system", "roles", "answer", "answer_end", "trim",
                             "pictures", "architectures"});
  PromptFormat format;
  format.name = file.stem().string();
  format.source = fields.string("source");
  format.start = fields.string("start", "");
  format.answer = fields.string("answer");
  format.answer_end = fields.string("answer_end");
  format.trim = fields.boolean("trim", /*otherwise=*/false);
  const YamlFields roles = fields.at("roles");
  roles.require_known_keys(kRoles);
  for (const std::string& role : roles.keys()) {
    const YamlFields frame = roles.at(role);
    frame.require_known_keys({"before", "before_picture", "after"});
    const std::string before = frame.string("before");
    format.roles[role] = {before, frame.string("before_picture", before), frame.string("after")};
  }
  if (!roles.has("user")) roles.fail_here("has no 'user'");
  if (fields.has("system")) {
    format.system = fields.string("system");
    if (!roles.has("system")) {
      fields.at("system").fail_here("is given, but 'roles' has no 'system'");
    }
  }
  if (fields.has("pictures")) format.pictures = read_pictures(fields.at("pictures"));
  format.architectures = strings_of(fields, "architectures");
  return format;
}

std::vector<PromptFormat> prompt_formats() {
  const std::filesystem::path folder = configs_folder() / "prompts";
  std::error_code problem;
  std::filesystem::directory_iterator entries(folder, problem);
  if (problem) {
    fail("{}: the prompt formats cannot be read: {}", folder.string(), problem.message());
  }
  std::vector<PromptFormat> formats;
  for (const auto& entry : entries) {
    if (entry.path().extension() == ".yaml") formats.push_back(read_prompt_format(entry.path()));
  }
  std::sort(formats.begin(), formats.end(),
            [](const PromptFormat& a, const PromptFormat& b) { return a.name < b.name; });
  return formats;
}

PromptFormat prompt_format(std::string_view name) {
  std::vector<PromptFormat> formats = prompt_formats();
  for (PromptFormat& format : formats) {
    if (format.name == name) return std::move(format);
  }
  fail("no prompt format '{}'{}", name, suggestion(name, names_of(formats)));
}

void check_turns(const std::vector<Turn>& turns) {
  if (turns.empty()) fail("a prompt needs at least one turn");
  for (size_t i = 0; i < turns.size(); ++i) {
    if (std::find(kRoles.begin(), kRoles.end(), turns[i].role) == kRoles.end()) {
      fail("turn {} has the unknown role '{}'{}", i + 1, turns[i].role,
           suggestion(turns[i].role, kRoles));
    }
    if (i > 0 && turns[i].role == "system") {
      fail("turn {} has the role 'system', which only the first turn may have", i + 1);
    }
  }
}

std::vector<PromptChunk> cut_at_images(std::string_view text) {
  std::vector<PromptChunk> chunks;
  const auto put_text = [&](std::string_view part) {
    if (!part.empty()) chunks.push_back({PromptChunk::Kind::kText, std::string(part)});
  };
  size_t done = 0;
  for (size_t at = text.find(kImagePlaceholder); at != std::string_view::npos;
       at = text.find(kImagePlaceholder, done)) {
    put_text(text.substr(done, at - done));
    chunks.push_back({PromptChunk::Kind::kImage, ""});
    done = at + kImagePlaceholder.size();
  }
  put_text(text.substr(done));
  return chunks;
}

Prompt PromptFormat::render(const std::vector<Turn>& turns, bool answer_follows,
                            PicturePlace place) const {
  check_turns(turns);
  Prompt prompt;
  prompt.text = start;
  const auto put = [&](const Turn& turn) {
    const auto frame = roles.find(turn.role);
    if (frame == roles.end()) {
      fail("prompt format '{}' has no form for a turn of the role '{}'", name, turn.role);
    }
    const std::string text = with_pictures(*this, turn, place);
    prompt.text +=
        text.starts_with(kImagePlaceholder) ? frame->second.before_picture : frame->second.before;
    prompt.text += spell_pictures(*this, text) + frame->second.after;
  };
  if (system && turns.front().role != "system") put({"system", *system, /*images=*/0});
  for (const Turn& turn : turns) put(turn);
  if (answer_follows) prompt.text += answer;
  prompt.chunks = cut_at_images(prompt.text);
  return prompt;
}

}  // namespace elastikv
