#include "datasets/image_markers.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "datasets/item_fields.h"
#include "jinja/characters.h"
#include "text/prompt_format.h"

namespace elastikv {
namespace {

constexpr std::string_view kNumber = "{n}";
constexpr std::string_view kDigits = "0123456789";

bool is_digit(char character) { return kDigits.find(character) != std::string_view::npos; }

/// By which numbers markers name a draft's images.
std::vector<std::string> numbers_of(const std::vector<ImageSource>& images) {
  std::vector<std::string> numbers;
  for (const ImageSource& image : images) {
    numbers.push_back(
        std::to_string(image.number > 0 ? image.number : static_cast<int64_t>(numbers.size()) + 1));
  }
  return numbers;
}

std::string named_wrongly(std::string_view marker, const std::vector<std::string>& numbers) {
  return fmt::format("the question names {}, the item has {}", shortened(marker),
                     numbers.empty()
                         ? "no image"
                         : shortened(fmt::format("image{} {} alone", numbers.size() == 1 ? "" : "s",
                                                 listed(numbers))));
}

}  // namespace

ImageMarkers::ImageMarkers(std::string_view form) {
  const size_t at = form.find(kNumber);
  if (at != std::string_view::npos) {
    before_ = form.substr(0, at);
    behind_ = form.substr(at + kNumber.size());
  }
  if (before_.empty() || behind_.empty() || is_digit(before_.back()) || is_digit(behind_.front()) ||
      behind_.find(kNumber) != std::string::npos)
    fail("'{}' needs {{n}} once, between two texts, with no digit beside it", form);
}

std::vector<ImageMarkers::Marker> ImageMarkers::markers_in(std::string_view text) const {
  std::vector<Marker> markers;
  for (size_t at = text.find(before_); at != std::string_view::npos;
       at = text.find(before_, at + 1)) {
    const size_t begin = at + before_.size();
    const size_t end = std::min(text.find_first_not_of(kDigits, begin), text.size());
    if (end == begin || text[begin] == '0' || !text.substr(end).starts_with(behind_)) continue;
    markers.push_back({at, end + behind_.size(), text.substr(begin, end - begin)});
    at = markers.back().end - 1;
  }
  return markers;
}

void ImageMarkers::place(Draft& draft, Problems& problems) const {
  if (draft.lacks_question || draft.lacks_images) return;
  const std::string& question = draft.sample.question;
  const std::vector<Marker> markers = markers_in(question);
  if (markers.empty()) return;
  const auto refuse = [&](const std::string& why) {
    draft.lacks_images = true;
    problems.add(ProblemKind::kPlaces, draft, why);
  };
  const std::vector<std::string> numbers = numbers_of(draft.images);
  std::vector<ImageSource> placed;
  std::set<size_t> named;
  std::string text;
  size_t done = 0;
  for (const Marker& marker : markers) {
    const auto number = std::find(numbers.begin(), numbers.end(), marker.number);
    if (number == numbers.end())
      return refuse(named_wrongly(
          std::string_view(question).substr(marker.begin, marker.end - marker.begin), numbers));
    const auto image = static_cast<size_t>(number - numbers.begin());
    named.insert(image);
    placed.push_back(draft.images[image]);
    text += question.substr(done, marker.begin - done);
    text += kImagePlaceholder;
    done = marker.end;
  }
  text += question.substr(done);
  if (places_in(text) != markers.size()) {
    const Marker& first = markers.front();
    return refuse(fmt::format("the question has both <image> and {}",
                              question.substr(first.begin, first.end - first.begin)));
  }
  draft.unnamed_images = draft.images.size() - named.size();
  draft.images = std::move(placed);
  draft.sample.question = std::move(text);
  draft.placed_by_markers = true;
}

std::string trimmed_at_images(std::string_view question) {
  std::string text;
  for (const PromptChunk& chunk : cut_at_images(question)) {
    text += chunk.kind == PromptChunk::Kind::kImage ? kImagePlaceholder : jinja::strip(chunk.text);
  }
  return text;
}

}  // namespace elastikv
