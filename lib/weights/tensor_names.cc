#include "weights/tensor_names.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace elastikv {
namespace {

struct PrefixChange {
  std::string_view from;
  std::string_view to;
};

// At most one of these applies to a name ...
constexpr std::array kOldPrefixes{
    PrefixChange{"language_model.lm_head.", "lm_head."},
    PrefixChange{"language_model.", "model.language_model."},
    PrefixChange{"vision_tower.", "model.vision_tower."},
    PrefixChange{"multi_modal_projector.", "model.multi_modal_projector."},
    PrefixChange{"visual.", "model.visual."},
    PrefixChange{"mlp_AR.", "model.projector."},
};
// ... and then at most one of these, which also meet names that were saved with the new outer part.
constexpr std::array kOldInnerPrefixes{
    PrefixChange{"model.language_model.model.", "model.language_model."},
    PrefixChange{"model.vision_tower.vision_model.", "model.vision_tower."},
};

// Names of the original LLaVA, beside whose projector all else in `model.` that is not listed here
// is the language model's. A name that maps to itself stays.
constexpr std::array kOriginalLlavaPrefixes{
    PrefixChange{"model.mm_projector.0.", "model.multi_modal_projector.linear_1."},
    PrefixChange{"model.mm_projector.2.", "model.multi_modal_projector.linear_2."},
    PrefixChange{"model.mm_projector.", "model.mm_projector."},
    PrefixChange{"model.vision_tower.vision_tower.vision_model.", "model.vision_tower."},
    PrefixChange{"model.vision_tower.", "model.vision_tower."},
    PrefixChange{"model.image_newline", "model.image_newline"},
    PrefixChange{"model.", "model.language_model."},
};

template <size_t count>
std::string with_prefix_changed(std::string name, const std::array<PrefixChange, count>& changes) {
  for (const PrefixChange& change : changes) {
    if (name.starts_with(change.from)) return name.replace(0, change.from.size(), change.to);
  }
  return name;
}

bool is_visual_or_projector(std::string_view name) {
  return name.starts_with("model.visual.") || name.starts_with("model.projector.");
}

bool is_original_llava_projector(std::string_view name) {
  return name.starts_with("model.mm_projector.");
}

}  // namespace

std::string canonical_name(std::string_view name) {
  if (name == "image_newline") return "model.image_newline";
  return with_prefix_changed(with_prefix_changed(std::string(name), kOldPrefixes),
                             kOldInnerPrefixes);
}

std::vector<std::string> canonical_names(const std::vector<std::string>& names) {
  constexpr std::string_view kModel = "model.";
  constexpr std::string_view kLanguageModel = "model.language_model.";
  std::vector<std::string> canonical;
  canonical.reserve(names.size());
  if (std::any_of(names.begin(), names.end(), is_original_llava_projector)) {
    for (const std::string& name : names)
      canonical.push_back(with_prefix_changed(name, kOriginalLlavaPrefixes));
    return canonical;
  }
  for (const std::string& name : names) canonical.push_back(canonical_name(name));
  if (std::none_of(canonical.begin(), canonical.end(), is_visual_or_projector)) return canonical;
  for (std::string& name : canonical) {
    if (name.starts_with(kModel) && !is_visual_or_projector(name) &&
        !name.starts_with(kLanguageModel)) {
      name.replace(0, kModel.size(), kLanguageModel);
    }
  }
  return canonical;
}

std::string shape_text(c10::IntArrayRef shape) {
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", "));
}

std::string printable_name(std::string_view name) {
  constexpr size_t kLongest = 200;
  size_t length = std::min(name.size(), kLongest);
  // A cut may not fall inside a UTF-8 sequence.
  while (length < name.size() && length > 0 && (name[length] & 0xC0) == 0x80) --length;
  std::string text(name.substr(0, length));
  for (char& letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20 || byte == 0x7F) letter = '?';
  }
  if (length < name.size()) text += "...";
  return text;
}

}  // namespace elastikv
