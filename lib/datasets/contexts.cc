#include "datasets/contexts.h"

#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "image/image.h"

namespace elastikv {
namespace {

/// Each part with its length, so that no two contexts have the same text.
std::string text_of(const Sample& sample) {
  std::string text = fmt::format("{}:", sample.context_length);
  text += sample.question.substr(0, sample.context_length);
  for (const ImageFile& image : sample.images) {
    const std::string path = image.path.string();
    text += fmt::format("{}:{}:{}", image_orientation_name(image.orientation), path.size(), path);
  }
  return text;
}

}  // namespace

std::vector<size_t> context_numbers(std::span<const Sample> samples) {
  std::vector<size_t> numbers;
  numbers.reserve(samples.size());
  std::unordered_map<std::string, size_t> known;
  size_t next = 0;
  for (const Sample& sample : samples) {
    if (sample.images.empty() && sample.context_length == 0) {
      numbers.push_back(next++);
      continue;
    }
    const auto [there, is_new] = known.try_emplace(text_of(sample), next);
    next += is_new ? 1 : 0;
    numbers.push_back(there->second);
  }
  return numbers;
}

}  // namespace elastikv
