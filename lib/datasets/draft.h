#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/sample.h"

namespace elastikv {

/// An image as a data file gives it.
struct ImageSource {
  /// The names that its file may have, the likeliest first: one where the data file says it.
  std::vector<std::string> names;
  /// Or the image itself in base64, a piece of the data file's FileText.
  std::string_view embedded;
  /// Or its bytes, which are read from the data file when they are wanted; nothing where they are
  /// null, so that the image is the file of that name.
  std::function<std::optional<std::string>()> bytes{};
  /// Or its id in the table of DataOptions::images_from.
  std::string id{};
  /// By which markers of the question name it (ImageMarkers); 0: its place among the images,
  /// from 1.
  int64_t number = 0;
};

/// A sample on its way, together with the place it is named by in messages.
struct Draft {
  Sample sample;
  std::string where;  // "item 3 ('x')"
  std::vector<ImageSource> images;
  /// What makes the sample depend on others that have it too, by name: see cluster().
  std::vector<std::string> shares;
  // What could not be read; that has been noted, so it is not checked again.
  bool lacks_question = false;
  bool lacks_answer = false;
  bool lacks_images = false;
  // Whether markers of the question said where the images stand, and how many they did not name.
  bool placed_by_markers = false;
  size_t unnamed_images = 0;
};

}  // namespace elastikv
