#include "text/template_writer.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "jinja/template.h"
#include "text/prompt_tokens.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

/// Texts that no template holds, for probes.
constexpr const char* kSystemProbe = "zqsystemqz";
constexpr const char* kUserProbe = "zquserqz";
constexpr const char* kAnswerProbe = "zqanswerqz";

/// Of which turns a template takes the content as a list of parts; of the others as a text.
enum class Contents { kParts, kUserParts, kTexts };

size_t count_of(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size()))
    ++count;
  return count;
}

/// A day YYYY-MM-DD at noon. Error for anything else.
jinja::CivilTime noon_of(const std::string& text) {
  const auto day = parse_day(text);
  if (!day) fail("the date '{}' is no day like {}", text, PromptSettings::kDefaultDate);
  jinja::CivilTime time;
  time.year = static_cast<int>(day->year());
  time.month = static_cast<int>(static_cast<unsigned>(day->month()));
  time.day = static_cast<int>(static_cast<unsigned>(day->day()));
  time.hour = 12;
  return time;
}

Json text_part(std::string_view text) { return {{"type", "text"}, {"text", text}}; }
Json image_part() { return {{"type", "image"}}; }

/// What a second image adds to a prompt, without blanks around it: how the template spells one.
std::string spelling_of(std::string_view one, std::string_view two) {
  size_t begin = 0;
  while (begin < one.size() && one[begin] == two[begin]) ++begin;
  size_t end = 0;
  while (end < one.size() - begin && one[one.size() - 1 - end] == two[two.size() - 1 - end]) ++end;
  std::string_view more = two.substr(begin, two.size() - begin - end);
  // The common beginning may reach into the second image: "<a><b>" added to "<a><b>x" is found as
  // "x<a><b>" turned round, of which the whole spelling is the turn that the text holds.
  for (size_t shift = 0; shift <= std::min(begin, more.size()); ++shift) {
    const std::string_view turned = two.substr(begin - shift, more.size());
    if (!turned.empty() && count_of(two, turned) == 2 && count_of(one, turned) == 1) {
      const std::string_view plain = trimmed(turned);
      if (!plain.empty() && (plain.front() == '<' || plain.front() == '['))
        return std::string(plain);
    }
  }
  return std::string(trimmed(more));
}

class TemplateWriter final : public PromptWriter {
 public:
  TemplateWriter(ChatTemplate found, const PromptModel& model, const PromptSettings& settings)
      : found_(std::move(found)),
        settings_(settings),
        takes_images_(model.takes_images),
        template_(jinja::Template::parse(found_.text, found_.place)) {
    take_settings();
    for (const auto& [name, text] : template_tokens(model.checkpoint)) tokens_[name] = text;
    if (takes_images_) learn_images(model);
    learn_answer_end(model);
  }

  Prompt write(const std::vector<Turn>& turns, bool answer_follows) const override {
    check_turns(turns);
    std::vector<Turn> all = turns;
    if (settings_.system && turns.front().role != "system")
      all.insert(all.begin(), Turn{"system", *settings_.system, /*images=*/0});
    size_t images = 0;
    for (const Turn& turn : all) {
      images += static_cast<size_t>(turn.images) + count_of(turn.text, kImagePlaceholder);
    }
    return cut_at_markers(render(all, answer_follows), images);
  }

  std::string name() const override { return kChatTemplate; }

  std::string source() const override {
    std::string text = fmt::format("the chat template of {} (hash {})", found_.place, found_.hash);
    if (reads_date_) text += fmt::format(", today being {}", date());
    return text;
  }

  std::string signature() const override {
    std::string text = fmt::format("prompt:{}#{}", found_.file, found_.hash.substr(0, 8));
    if (settings_.system) text += "|system:set";
    if (reads_date_) text += fmt::format("|date:{}", date());
    for (const auto& [name, value] : settings_.variables)
      text += fmt::format("|{}:{}", name, value);
    return text;
  }

  std::string answer_end() const override { return answer_end_; }

  /// As transformers: a tokenizer's apply_chat_template adds none, a processor's does.
  bool adds_special_tokens() const override { return takes_images_; }

 private:
  std::string date() const { return settings_.date.value_or(PromptSettings::kDefaultDate); }

  /// Checks what was set beside the template, and puts it where rendering finds it.
  void take_settings() {
    const std::set<std::string> known = template_.variables();
    reads_date_ = known.contains("strftime_now");
    if (settings_.date && !reads_date_) {
      fail("{}: this chat template does not write today's date, so that 'date' says nothing",
           found_.place);
    }
    environment_.now = noon_of(date());
    for (const auto& [name, text] : settings_.variables) {
      if (!known.contains(name)) {
        std::vector<std::string> names;
        for (const std::string& one : known) {
          if (!kGiven.contains(one) && !one.ends_with("_token")) names.push_back(one);
        }
        fail("{}: this chat template reads no variable '{}'{}", found_.place, name,
             names.empty() ? "" : fmt::format("; it reads {}", fmt::join(names, ", ")));
      }
      variables_[name] = Json(parse_json(text, fmt::format("template variable '{}'", name)));
    }
  }

  /// Renders messages that are already in the template's form.
  std::string render_messages(const Json& messages, bool answer_follows) const {
    Json variables{{"messages", messages},
                   {"tools", nullptr},
                   {"documents", nullptr},
                   {"add_generation_prompt", answer_follows}};
    for (const auto& [name, value] : tokens_) variables[name] = value;
    for (const auto& [name, value] : variables_.items()) variables[name] = value;
    try {
      return template_.render(variables, environment_);
    } catch (const jinja::Raised& raised) {
      fail("{}: the chat template refuses this conversation: {}", found_.place, raised.what());
    }
  }

  std::string render_user(const Json& content) const {
    return render_messages(Json::array({{{"role", "user"}, {"content", content}}}),
                           /*answer_follows=*/true);
  }

  /// How a template with images takes and writes them.
  void learn_images(const PromptModel& model) {
    std::string one;
    std::string two;
    try {
      one = render_user({image_part(), text_part(kUserProbe)});
      two = render_user({image_part(), image_part(), text_part(kUserProbe)});
    } catch (const Error&) {
      one.clear();  // it takes texts alone
    }
    std::string spelling;
    if (two.size() > one.size() && count_of(one, kUserProbe) == 1 &&
        one.find("'type'") == std::string::npos)
      spelling = spelling_of(one, two);
    marker_ = marker_of(model, spelling);
    image_parts_ = spelling.find(marker_) != std::string::npos;
    spelling_ = image_parts_ ? spelling : marker_;
    if (!image_parts_) return;
    const size_t after = one.find(marker_) + marker_.size();
    const size_t text = one.find(kUserProbe);
    line_end_behind_ = text > after && one[text - 1] == '\n';
    // Before, between and after: does the order of the parts stay?
    const std::string mixed =
        render_user({text_part(kSystemProbe), image_part(), text_part(kUserProbe)});
    const size_t first = mixed.find(kSystemProbe);
    const size_t image = mixed.find(marker_);
    const size_t last = mixed.find(kUserProbe);
    keeps_order_ = first < image && image < last && last != std::string::npos;
  }

  /// The text of the token that stands for an image. `spelling`: what the template writes for one.
  std::string marker_of(const PromptModel& model, const std::string& spelling) const {
    if (model.tokenizer != nullptr && model.image_token >= 0) {
      if (auto text = placeholder_text(*model.tokenizer, model.image_token)) return *text;
    }
    const auto named = tokens_.find("image_token");
    if (named != tokens_.end() && spelling.find(named->second) != std::string::npos)
      return named->second;
    if (spelling.empty() || spelling.find(kImagePlaceholder) != std::string::npos)
      return std::string(kImagePlaceholder);
    return spelling;
  }

  void learn_answer_end(const PromptModel& model) {
    if (model.tokenizer == nullptr) return;
    std::string text;
    try {
      text = render({{"user", kUserProbe, 0}, {"assistant", kAnswerProbe, 0}},
                    /*answer_follows=*/false);
    } catch (const Error&) {
      return;  // a template without answers: the checkpoint's end token holds
    }
    const size_t at = text.find(kAnswerProbe);
    if (at == std::string::npos) return;
    const std::string rest(
        trimmed(std::string_view(text).substr(at + std::string_view(kAnswerProbe).size())));
    if (rest.empty()) return;
    const std::vector<int64_t> ids = model.tokenizer->encode(rest);
    if (ids.empty() || !model.tokenizer->is_special(ids.front())) return;
    const std::string token = model.tokenizer->id_to_token(ids.front()).value_or("");
    if (rest.starts_with(token)) answer_end_ = token;
  }

  /// A turn's text with its images as one text.
  std::string as_text(const Turn& turn) const {
    std::string text = replace_each(turn.text, kImagePlaceholder, spelling_);
    for (int64_t i = 0; i < turn.images; ++i) {
      text = settings_.place == ImagePlace::kAfter ? fmt::format("{}\n{}", text, spelling_)
                                                   : fmt::format("{}\n{}", spelling_, text);
    }
    return text;
  }

  /// The same as parts.
  Json as_parts(const Turn& turn) const {
    Json images = Json::array();
    for (int64_t i = 0; i < turn.images; ++i) images.push_back(image_part());
    const bool after = settings_.place == ImagePlace::kAfter;
    Json parts = after ? Json::array() : images;
    bool behind_image = false;
    bool text_came = false;
    bool image_behind_text = after && turn.images > 0;
    for (const PromptChunk& chunk : cut_at_images(turn.text)) {
      if (chunk.kind == PromptChunk::Kind::kImage) {
        image_behind_text |= text_came;
        parts.push_back(image_part());
        behind_image = true;
        continue;
      }
      std::string_view text = chunk.text;
      if (behind_image && line_end_behind_ && text.starts_with('\n')) text.remove_prefix(1);
      behind_image = false;
      if (text.empty()) continue;
      text_came = true;
      parts.push_back(text_part(text));
    }
    if (after) parts.insert(parts.end(), images.begin(), images.end());
    if (image_behind_text && !keeps_order_) return Json::array({text_part(as_text(turn))});
    if (parts.empty()) parts.push_back(text_part(""));
    return parts;
  }

  Json messages_of(const std::vector<Turn>& turns, Contents contents) const {
    Json messages = Json::array();
    for (Turn turn : turns) {
      // As a tokenizer reads it.
      turn.text = replace_broken_utf8(turn.text);
      const bool parts =
          contents == Contents::kParts || (contents == Contents::kUserParts && turn.role == "user");
      Json content;
      if (!parts) {
        content = as_text(turn);
      } else if (image_parts_) {
        content = as_parts(turn);
      } else {
        content = Json::array({text_part(as_text(turn))});
      }
      messages.push_back({{"role", turn.role}, {"content", std::move(content)}});
    }
    return messages;
  }

  /// In which form the template takes these roles: the first of its kind's in which it writes all
  /// of their texts, and no list as a list. Error where it renders them and drops a text.
  Contents contents_for(const std::vector<Turn>& turns) const {
    std::vector<Turn> probe;
    std::vector<std::string> texts;
    for (const Turn& turn : turns) {
      const char* text = turn.role == "system"      ? kSystemProbe
                         : turn.role == "assistant" ? kAnswerProbe
                                                    : kUserProbe;
      probe.push_back({turn.role, fmt::format("{}{}", text, probe.size()), 0});
      texts.push_back(probe.back().text);
    }
    const std::array<Contents, 3> in_order =
        takes_images_ ? std::array{Contents::kParts, Contents::kUserParts, Contents::kTexts}
                      : std::array{Contents::kTexts, Contents::kParts, Contents::kUserParts};
    std::string dropped;
    for (const Contents contents : in_order) {
      try {
        const std::string text =
            render_messages(messages_of(probe, contents), /*answer_follows=*/true);
        if (text.find("'type'") != std::string::npos || text.find("\"type\"") != std::string::npos)
          continue;
        const auto lost = std::find_if(texts.begin(), texts.end(), [&](const std::string& one) {
          return text.find(one) == std::string::npos;
        });
        if (lost == texts.end()) return contents;
        dropped = probe[static_cast<size_t>(lost - texts.begin())].role;
      } catch (const Error&) {
        continue;  // the next form; what none takes is said when the turns themselves are rendered
      }
    }
    if (!dropped.empty()) {
      fail("{}: this chat template does not write the text of a turn of the role '{}'",
           found_.place, dropped);
    }
    return in_order.front();
  }

  std::string render(const std::vector<Turn>& turns, bool answer_follows) const {
    return render_messages(messages_of(turns, contents_for(turns)), answer_follows);
  }

  Prompt cut_at_markers(const std::string& text, size_t images) const {
    const size_t found = count_of(text, marker_);
    if (found != images) {
      fail("{}: the chat template wrote '{}', which stands for an image, {} times for {} image{}",
           found_.place, marker_, found, images, images == 1 ? "" : "s");
    }
    Prompt prompt;
    size_t done = 0;
    const auto put_text = [&](std::string_view part) {
      if (!part.empty()) prompt.chunks.push_back({PromptChunk::Kind::kText, std::string(part)});
      prompt.text += part;
    };
    for (size_t at = text.find(marker_); at != std::string::npos; at = text.find(marker_, done)) {
      put_text(std::string_view(text).substr(done, at - done));
      prompt.chunks.push_back({PromptChunk::Kind::kImage, ""});
      prompt.text += kImagePlaceholder;
      done = at + marker_.size();
    }
    put_text(std::string_view(text).substr(done));
    return prompt;
  }

  /// What every conversation gives a template.
  inline static const std::set<std::string> kGiven{
      "messages", "tools", "documents", "add_generation_prompt", "raise_exception", "strftime_now"};

  ChatTemplate found_;
  PromptSettings settings_;
  bool takes_images_;
  jinja::Template template_;
  jinja::Environment environment_;
  std::map<std::string, std::string> tokens_;
  Json variables_ = Json::object();
  bool reads_date_ = false;
  /// The token that stands for an image, and what the template writes for one ("<a><marker><b>").
  /// A model without images keeps `<image>`, which whoever counts images then finds.
  std::string marker_{kImagePlaceholder};
  std::string spelling_{kImagePlaceholder};
  bool image_parts_ = false;
  /// Whether the template writes a line end between an image and the text behind it.
  bool line_end_behind_ = false;
  /// Whether images stay where the parts have them.
  bool keeps_order_ = false;
  std::string answer_end_;
};

}  // namespace

std::unique_ptr<PromptWriter> make_template_writer(ChatTemplate found, const PromptModel& model,
                                                   const PromptSettings& settings) {
  return std::make_unique<TemplateWriter>(std::move(found), model, settings);
}

}  // namespace elastikv
