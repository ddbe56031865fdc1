#include "text/prompt_format.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"

namespace elastikv {
namespace {

std::string with_pictures(const Turn& turn) {
  std::string text;
  for (int64_t i = 0; i < turn.images; ++i) {
    text += kImagePlaceholder;
    text += '\n';
  }
  return text + turn.text;
}

/// ChatML: every turn between <|im_start|> with its role and <|im_end|>.
std::string write_chatml(const std::vector<Turn>& turns, bool answer_follows,
                         std::string_view system) {
  std::string text;
  if (turns.front().role != "system") {
    text = fmt::format("<|im_start|>system\n{}<|im_end|>\n", system);
  }
  for (const Turn& turn : turns) {
    text += fmt::format("<|im_start|>{}\n{}<|im_end|>\n", turn.role, with_pictures(turn));
  }
  if (answer_follows) text += "<|im_start|>assistant\n";
  return text;
}

std::string write_stampvlm(const std::vector<Turn>& turns, bool answer_follows) {
  return write_chatml(turns, answer_follows, "You are a helpful assistant that looks at pictures.");
}

std::string write_smollm2(const std::vector<Turn>& turns, bool answer_follows) {
  return write_chatml(turns, answer_follows,
                      "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
}

std::string_view speaker(const Turn& turn) { return turn.role == "user" ? "USER" : "ASSISTANT"; }

/// Turns with a blank after each, the answers too; no line about the assistant unless given.
std::string write_llava_hf(const std::vector<Turn>& turns, bool answer_follows) {
  std::string text;
  for (const Turn& turn : turns) {
    if (turn.role != "system") text += fmt::format("{}: ", speaker(turn));
    text += with_pictures(turn) + ' ';
  }
  if (answer_follows) text += "ASSISTANT:";
  return text;
}

/// Vicuna's form: a line about the assistant, a blank after it and after questions, </s> after
/// answers.
std::string write_vicuna(const std::vector<Turn>& turns, bool answer_follows,
                         std::string_view system) {
  const bool has_system = turns.front().role == "system";
  std::string text = has_system ? with_pictures(turns.front()) : std::string(system);
  text += ' ';
  for (size_t i = has_system ? 1 : 0; i < turns.size(); ++i) {
    const Turn& turn = turns[i];
    text += fmt::format("{}: {}{}", speaker(turn), with_pictures(turn),
                        turn.role == "user" ? " " : "</s>");
  }
  if (answer_follows) text += "ASSISTANT:";
  return text;
}

std::string write_vicuna_v1(const std::vector<Turn>& turns, bool answer_follows) {
  return write_vicuna(turns, answer_follows,
                      "A chat between a curious user and an artificial intelligence assistant. The "
                      "assistant gives helpful, detailed, and polite answers to the user's "
                      "questions.");
}

std::string write_elastic_cache(const std::vector<Turn>& turns, bool answer_follows) {
  return write_vicuna(turns, answer_follows,
                      "A chat between a curious human and an artificial intelligence assistant. "
                      "The assistant gives helpful, detailed, and polite answers to the human's "
                      "questions.");
}

std::string write_plain(const std::vector<Turn>& turns, bool) {
  std::string text;
  for (const Turn& turn : turns) text += with_pictures(turn);
  return text;
}

void check_turns(const std::vector<Turn>& turns) {
  static const std::vector<std::string> roles{"system", "user", "assistant"};
  if (turns.empty()) fail("a prompt needs at least one turn");
  for (size_t i = 0; i < turns.size(); ++i) {
    if (std::find(roles.begin(), roles.end(), turns[i].role) == roles.end()) {
      fail("turn {} has the unknown role '{}'{}", i + 1, turns[i].role,
           suggestion(turns[i].role, roles));
    }
    if (i > 0 && turns[i].role == "system") {
      fail("turn {} has the role 'system', which only the first turn may have", i + 1);
    }
  }
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const PromptFormat& format : prompt_formats()) names.push_back(format.name);
  return names;
}

/// Published chat templates by the hash of their text, and the format that writes the same.
struct KnownTemplate {
  std::string_view hash;
  std::string_view format;
};
constexpr KnownTemplate kKnownTemplates[] = {
    {"ff3fab88ca376f2294f67ef018265104", "stampvlm"},
    {"98f63cc3d421d28f99ab995e9629dacd", "chatml-smollm2"},  // HuggingFaceTB/SmolLM2-*-Instruct
    {"251ca3579adf832009d4c7df68605a09", "llava-v1-hf"},     // llava-hf/llava-1.5-*-hf
};

/// Files hold the newlines of a template's strings as such or as \n, and end with a newline or not.
std::string template_hash(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool newline = text.substr(at, 2) == "\\n";
    plain.push_back(newline ? '\n' : text[at]);
    if (newline) ++at;
  }
  return content_hash(plain);
}

struct ChatTemplate {
  std::string text;
  std::string file;
};

std::optional<ChatTemplate> find_chat_template(const std::filesystem::path& checkpoint) {
  const auto jinja = checkpoint / "chat_template.jinja";
  if (std::filesystem::exists(jinja)) return ChatTemplate{read_file(jinja), jinja.string()};
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    const auto file = checkpoint / name;
    if (!std::filesystem::exists(file)) continue;
    const JsonFields fields = JsonFields::read(file);
    const auto found = fields.json().find("chat_template");
    if (found == fields.json().end()) continue;
    if (found->is_string()) return ChatTemplate{found->get<std::string>(), file.string()};
    if (!found->is_array()) continue;
    for (const JsonFields& entry : fields.objects("chat_template")) {
      if (entry.string("name") == "default") {
        return ChatTemplate{entry.string("template"), file.string()};
      }
    }
  }
  return std::nullopt;
}

}  // namespace

const std::vector<PromptFormat>& prompt_formats() {
  static const std::vector<PromptFormat> formats{
      {"stampvlm", "chat_template.jinja of models/stampvlm", "<|im_end|>", write_stampvlm},
      {"chatml-smollm2", "chat template of HuggingFaceTB/SmolLM2-135M-Instruct", "<|im_end|>",
       write_smollm2},
      {"llava-v1-hf", "chat template of llava-hf/llava-1.5-7b-hf", "</s>", write_llava_hf},
      {"vicuna-v1", "conversation vicuna_v1 of haotian-liu/LLaVA, used by its evaluations", "</s>",
       write_vicuna_v1},
      {"llava-v1-elastic-cache",
       "conversation llava_v1, which the evaluations of liuzuyan/ElasticCache choose", "</s>",
       write_elastic_cache},
      {"plain", "the turns' texts and nothing else", "", write_plain},
  };
  return formats;
}

const PromptFormat& prompt_format(std::string_view name) {
  for (const PromptFormat& format : prompt_formats()) {
    if (format.name == name) return format;
  }
  fail("no prompt format '{}'{}", name, suggestion(name, format_names()));
}

const PromptFormat& choose_prompt_format(const std::filesystem::path& checkpoint,
                                         std::string_view name) {
  if (!name.empty()) return prompt_format(name);
  const auto found = find_chat_template(checkpoint);
  if (!found) {
    fail(
        "{}: no chat template (chat_template.jinja, chat_template.json or tokenizer_config.json); "
        "name a prompt format: {}",
        checkpoint.string(), fmt::join(format_names(), ", "));
  }
  const std::string hash = template_hash(found->text);
  for (const KnownTemplate& known : kKnownTemplates) {
    if (known.hash == hash) return prompt_format(known.format);
  }
  fail("{}: this chat template (hash {}) is none of those known; name a prompt format: {}",
       found->file, hash, fmt::join(format_names(), ", "));
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

Prompt PromptFormat::render(const std::vector<Turn>& turns, bool answer_follows) const {
  check_turns(turns);
  Prompt prompt;
  prompt.text = write(turns, answer_follows);
  prompt.chunks = cut_at_images(prompt.text);
  return prompt;
}

}  // namespace elastikv
