#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/draft.h"
#include "datasets/problems.h"

namespace elastikv {

/// Texts by which questions name their images where these belong: "<image {n}>", where {n} stands
/// for an image's number, counted from 1.
class ImageMarkers {
 public:
  /// Error for a form that does not hold {n} once, between two texts that tell where a number ends.
  explicit ImageMarkers(std::string_view form);

  /// Puts `<image>` in the place of each marker in a draft's question, and the draft's images into
  /// the order of these places: an image is shown as often as it is named, and one that is named
  /// nowhere is left out. A question without markers stays as it is, images and all. Notes a marker
  /// of an image that is not there, and `<image>` beside markers.
  void place(Draft& draft, Problems& problems) const;

 private:
  struct Marker {
    size_t begin;
    size_t end;
    std::string_view number;
  };
  std::vector<Marker> markers_in(std::string_view text) const;

  std::string before_;
  std::string behind_;
};

/// A question without white space at its ends and beside `<image>`: as lmms-eval cuts it into texts
/// and images.
std::string trimmed_at_images(std::string_view question);

}  // namespace elastikv
