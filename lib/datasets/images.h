#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/draft.h"
#include "datasets/problems.h"

namespace elastikv {

/// Turns what data files say of images into files. An image of several samples is looked at
/// once.
class Images {
 public:
  using Check = std::function<void(const std::filesystem::path&)>;

  Images(const DataOptions& options, const Check& check, Problems& problems);

  /// Looks at the images that drafts name by their ids, each once: before find().
  void find_by_id(const std::vector<Draft>& drafts);
  /// Fills in the sample's images and content; notes what is missing or not usable.
  void find(Draft& draft);
  /// Notes an image_root that does not exist, when images were missing.
  void check_root();
  /// What a user should know of the images that were found.
  std::vector<std::string> notes() const;

 private:
  struct Found {
    std::filesystem::path file;
    std::string hash;     // of the bytes, as far as they could be read
    int orientation = 1;  // as stored, see stored_orientation
    std::string decoded;  // by what, where that gives other pixels than it once did; else empty
    ProblemKind kind = ProblemKind::kUnreadableImage;
    std::string problem;  // empty: none
  };
  Found look_up(const ImageSource& source);
  Found named(const std::vector<std::string>& names);
  Found embedded(std::string_view base64);
  Found in_file(const ImageSource& source);
  /// Bytes that a data file holds, which become a file.
  Found kept(const std::string& bytes);
  void check_file(Found& found);

  const DataOptions& options_;
  const Check& check_;
  Problems& problems_;
  std::filesystem::path data_folder_;
  std::filesystem::path root_;
  bool missing_ = false;
  int64_t images_ = 0;  // that could be read, each once
  int64_t turned_ = 0;  // of them, stored in another orientation
  std::unordered_map<std::string, Found> by_name_;
  std::unordered_map<std::string, Found> by_id_;
  std::unordered_map<const char*, Found> by_text_;  // embedded, by their place in the data file
  std::unordered_map<std::string, Found> by_hash_;  // whose bytes the data file holds
};

/// The hash of what a sample asks and expects; `images`: the hashes of its images.
std::string content_of(const Sample& sample, const std::string& images);

}  // namespace elastikv
