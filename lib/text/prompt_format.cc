#include "text/prompt_format.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/configs.h"
#include "base/error.h"
#include "base/keys.h"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "base/yaml_fields.h"

namespace elastikv {
namespace {

const std::vector<std::string> kRoles{"system", "user", "assistant"};

/// The text of a turn with `<image>` for each of its images.
std::string with_images(const PromptFormat& format, const Turn& turn, ImagePlace place) {
  const std::string_view text = format.trim ? trimmed(turn.text) : std::string_view(turn.text);
  if (turn.images == 0) return std::string(text);
  if (place == ImagePlace::kDefault) place = format.images.place;
  std::string images;
  for (int64_t i = 0; i < turn.images; ++i) {
    if (i > 0) images += format.images.between;
    images += kImagePlaceholder;
  }
  if (place == ImagePlace::kAfter) {
    return fmt::format("{}{}{}", text, format.images.text_then, images);
  }
  return fmt::format("{}{}{}", images, format.images.then_text, text);
}

/// Writes each `<image>` as the format has it.
std::string spell_images(const PromptFormat& format, std::string_view text) {
  constexpr std::string_view kNumber = "{n}";
  std::string result;
  int64_t number = 0;
  for (const PromptChunk& chunk : cut_at_images(text)) {
    if (chunk.kind == PromptChunk::Kind::kText) {
      result += chunk.text;
      continue;
    }
    ++number;
    const std::string& form = format.images.text;
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

using Roles = std::map<std::string, PromptFormat::Frame, std::less<>>;

const Keys<PromptFormat::Frame>& frame_keys() {
  using Frame = PromptFormat::Frame;
  static const Keys<Frame> keys([](Keys<Frame>& keys) {
    keys.add("before", &Frame::before, text_form(), "What stands before a turn's text.",
             {.required = true});
    keys.add("before_image", &Frame::before_image, text_form(),
             "The same where the turn begins with an image.",
             {.otherwise = "`before`", .earlier = "before_picture"},
             [](const YamlFields&, Frame& frame) { frame.before_image = frame.before; });
    keys.add("after", &Frame::after, text_form(), "What stands behind it.", {.required = true});
  });
  return keys;
}

const Keys<Roles>& role_keys() {
  static const Keys<Roles> keys([](Keys<Roles>& keys) {
    for (const std::string& role : kRoles) {
      keys.group(role,
                 {.read = [role](const YamlFields& node,
                                 Roles& roles) { frame_keys().read(node, roles[role]); }},
                 frame_keys(), "mapping", "What stands around its turns.");
    }
  });
  return keys;
}

/// A text that holds `<image>` once.
ValueForm<std::string> image_text_form() {
  ValueForm<std::string> form = text_form();
  form.read = [](const YamlFields& node) {
    std::string text = node.as_string();
    const size_t at = text.find(kImagePlaceholder);
    if (at == std::string::npos || text.find(kImagePlaceholder, at + 1) != std::string::npos)
      node.fail_here(fmt::format("is '{}', which has to hold {} once", text, kImagePlaceholder));
    return text;
  };
  return form;
}

const Keys<PromptFormat::Images>& image_keys() {
  using Images = PromptFormat::Images;
  static const Keys<Images> keys([](Keys<Images>& keys) {
    keys.add("place", &Images::place,
             named_form<ImagePlace>({ImagePlace::kBefore, ImagePlace::kAfter}, image_place_name,
                                    ", before or after is needed"),
             "Where the images of a turn go.");
    keys.add("text", &Images::text, image_text_form(),
             "An image, wherever it stands; `{n}` is its number within the turn.");
    keys.add("between", &Images::between, text_form(), "Between two images of a turn.");
    keys.add("then_text", &Images::then_text, text_form(),
             "Between them and the text that follows.");
    keys.add("text_then", &Images::text_then, text_form(),
             "Between the text and the images that follow.");
  });
  return keys;
}

const Keys<PromptFormat>& format_keys() {
  static const Keys<PromptFormat> keys([](Keys<PromptFormat>& keys) {
    keys.add("source", &PromptFormat::source, text_form(), "Where the form comes from.",
             {.required = true});
    keys.add("start", &PromptFormat::start, text_form(), "What every prompt begins with.");
    keys.add("system", &PromptFormat::system, text_form(),
             "The text of the system turn of a conversation that begins with none.");
    keys.section("roles", &PromptFormat::roles, role_keys(), "", {.required = true});
    keys.add("answer", &PromptFormat::answer, text_form(), "What invites the model's answer.",
             {.required = true});
    keys.add("answer_end", &PromptFormat::answer_end, text_form(),
             "What the model writes to end its answer.", {.required = true});
    keys.add("trim", &PromptFormat::trim, boolean_form(),
             "Whether white space at both ends of a turn's text goes.");
    keys.section("images", &PromptFormat::images, image_keys(), "", {.earlier = "pictures"});
    keys.add("architectures", &PromptFormat::architectures, text_list_form(),
             "Whose checkpoints use this format where they have no chat template.");
  });
  return keys;
}

}  // namespace

std::string_view image_place_name(ImagePlace place) {
  switch (place) {
    case ImagePlace::kBefore:
      return "before";
    case ImagePlace::kAfter:
      return "after";
    case ImagePlace::kDefault:
      break;
  }
  return "auto";
}

Turn user_turn(std::string question, int64_t images) {
  const bool placed = question.find(kImagePlaceholder) != std::string::npos;
  return {"user", std::move(question), placed ? 0 : images};
}

PromptFormat read_prompt_format(const std::filesystem::path& file) {
  const YamlFields fields = YamlFields::read(file);
  PromptFormat format;
  format.name = file.stem().string();
  format_keys().read(fields, format);
  const YamlFields roles = fields.at("roles");
  if (!roles.has("user")) roles.fail_here("has no 'user'");
  if (format.system && !roles.has("system"))
    fields.at("system").fail_here("is given, but 'roles' has no 'system'");
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
                            ImagePlace place) const {
  check_turns(turns);
  Prompt prompt;
  prompt.text = start;
  const auto put = [&](const Turn& turn) {
    const auto frame = roles.find(turn.role);
    if (frame == roles.end()) {
      fail("prompt format '{}' has no form for a turn of the role '{}'", name, turn.role);
    }
    const std::string text = with_images(*this, turn, place);
    prompt.text +=
        text.starts_with(kImagePlaceholder) ? frame->second.before_image : frame->second.before;
    prompt.text += spell_images(*this, text) + frame->second.after;
  };
  if (system && turns.front().role != "system") put({"system", *system, /*images=*/0});
  for (const Turn& turn : turns) put(turn);
  if (answer_follows) prompt.text += answer;
  prompt.chunks = cut_at_images(prompt.text);
  return prompt;
}

}  // namespace elastikv
