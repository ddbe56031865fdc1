#include "text/normalizer.h"

#include <utility>
#include <vector>

#include "base/utf8.h"
#include "text/component.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace elastikv {
namespace {

class SequenceNormalizer final : public Normalizer {
 public:
  explicit SequenceNormalizer(const JsonFields& fields) {
    for (const JsonFields& step : fields.objects("normalizers")) {
      steps_.push_back(make_normalizer(step));
    }
  }
  std::string normalize(std::string text) const override {
    for (const auto& step : steps_) text = step->normalize(std::move(text));
    return text;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

class FormNormalizer final : public Normalizer {
 public:
  explicit FormNormalizer(NormalizationForm form) : form_(form) {}
  std::string normalize(std::string text) const override { return normalize_unicode(text, form_); }

 private:
  NormalizationForm form_;
};

class LowercaseNormalizer final : public Normalizer {
 public:
  std::string normalize(std::string text) const override { return lowercase(text); }
};

class StripAccentsNormalizer final : public Normalizer {
 public:
  std::string normalize(std::string text) const override {
    std::string result;
    for (const char32_t character : to_characters(text)) {
      if (!is_mark(character)) append_utf8(result, character);
    }
    return result;
  }
};

class PrependNormalizer final : public Normalizer {
 public:
  explicit PrependNormalizer(const JsonFields& fields) : prefix_(fields.string("prepend")) {}
  std::string normalize(std::string text) const override {
    return text.empty() ? text : prefix_ + text;
  }

 private:
  std::string prefix_;
};

class ReplaceNormalizer final : public Normalizer {
 public:
  explicit ReplaceNormalizer(const JsonFields& fields)
      : pattern_(read_pattern(fields)), content_(fields.string("content")) {}
  std::string normalize(std::string text) const override {
    return replace_all(text, pattern_.regex, content_);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class StripNormalizer final : public Normalizer {
 public:
  explicit StripNormalizer(const JsonFields& fields)
      : left_(fields.boolean("strip_left")), right_(fields.boolean("strip_right")) {}
  std::string normalize(std::string text) const override {
    size_t begin = text.size();
    size_t end = 0;
    for (size_t at = 0; at < text.size();) {
      const Utf8Step step = utf8_step(text, at);
      const size_t next = at + step.size;
      if (!is_whitespace(step.character)) {
        if (begin == text.size()) begin = at;
        end = next;
      }
      at = next;
    }
    if (!left_) begin = 0;
    if (!right_) end = text.size();
    return begin < end ? text.substr(begin, end - begin) : std::string();
  }

 private:
  bool left_;
  bool right_;
};

std::unique_ptr<Normalizer> make_form(NormalizationForm form) {
  return std::make_unique<FormNormalizer>(form);
}

const ComponentMakers<Normalizer>& makers() {
  using Fields = const JsonFields&;
  static const ComponentMakers<Normalizer> table{
      {"Lowercase", [](Fields) { return std::make_unique<LowercaseNormalizer>(); }},
      {"NFC", [](Fields) { return make_form(NormalizationForm::kNfc); }},
      {"NFD", [](Fields) { return make_form(NormalizationForm::kNfd); }},
      {"NFKC", [](Fields) { return make_form(NormalizationForm::kNfkc); }},
      {"NFKD", [](Fields) { return make_form(NormalizationForm::kNfkd); }},
      {"Prepend", [](Fields f) { return std::make_unique<PrependNormalizer>(f); }},
      {"Replace", [](Fields f) { return std::make_unique<ReplaceNormalizer>(f); }},
      {"Sequence", [](Fields f) { return std::make_unique<SequenceNormalizer>(f); }},
      {"Strip", [](Fields f) { return std::make_unique<StripNormalizer>(f); }},
      {"StripAccents", [](Fields) { return std::make_unique<StripAccentsNormalizer>(); }},
  };
  return table;
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const JsonFields& fields) {
  return make_component<Normalizer>(fields, makers());
}

}  // namespace elastikv
