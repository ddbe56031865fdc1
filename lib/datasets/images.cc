#include "datasets/images.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/ranges.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/revisions.h"
#include "datasets/images_by_id.h"
#include "datasets/item_fields.h"
#include "image/image.h"
#include "image/orientation.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

/// The files that an image's name may mean, in the order they are tried. Published files and the
/// commands that go with them do not agree on whether a name repeats the root's last folders.
std::vector<fs::path> candidates(const std::string& name, const fs::path& root,
                                 const fs::path& data_folder) {
  const fs::path whole(name);
  const fs::path last = whole.filename();
  std::vector<fs::path> files{root / whole, root / last};
  const fs::path top = root.has_filename() ? root : root.parent_path();
  if (whole.begin() != whole.end() && *whole.begin() == top.filename())
    files.push_back(top.parent_path() / whole);
  for (const fs::path& folder : {data_folder, data_folder / "images"}) {
    files.push_back(folder / whole);
    files.push_back(folder / last);
  }
  std::vector<fs::path> once;
  for (fs::path& file : files) {
    if (std::find(once.begin(), once.end(), file) == once.end()) once.push_back(std::move(file));
  }
  return once;
}

/// "no image R/images/a.png; also looked in R and R/images/images".
std::string not_found(const std::vector<fs::path>& tried) {
  std::vector<std::string> folders;
  for (const fs::path& file : tried) {
    const fs::path parent = file.parent_path();
    const std::string folder = parent.empty() ? fs::path(".").string() : parent.string();
    if (parent != tried.front().parent_path() &&
        std::find(folders.begin(), folders.end(), folder) == folders.end()) {
      folders.push_back(folder);
    }
  }
  const std::string name = shortened(tried.front().string());
  if (folders.empty()) return "no image " + name;
  return fmt::format("no image {}; also looked in {}", name, fmt::join(folders, ", "));
}

/// The usual ending of an image's file name, by its first bytes.
std::string_view extension_of(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG")) return ".png";
  if (bytes.starts_with("\xff\xd8")) return ".jpg";
  if (bytes.starts_with("RIFF")) return ".webp";
  if (bytes.starts_with("BM")) return ".bmp";
  if (bytes.starts_with("GIF8")) return ".gif";
  return ".picture";
}

/// Puts an image into the folder of images that data files hold, unless it is there. Its name is
/// its content's, so a file of the right size is the right one.
fs::path store(const fs::path& folder, const std::string& bytes, const std::string& hash) {
  fs::path file = folder / fmt::format("{}{}", hash, extension_of(bytes));
  std::error_code error;
  if (fs::file_size(file, error) == bytes.size() && !error) return file;
  fs::create_directories(folder, error);
  if (error) fail("{}: cannot make the folder of images: {}", folder.string(), error.message());
  write_file_atomically(file, bytes);
  return file;
}

/// Base64 as it stands in a table or behind "data:image/png;base64,".
std::string_view without_scheme(std::string_view text) {
  if (!text.starts_with("data:")) return text;
  const size_t comma = text.find(',');
  return comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
}

}  // namespace

fs::path default_image_cache() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return fs::path(value == nullptr ? "" : value);
  };
  if (const fs::path cache = variable("ELASTIKV_CACHE"); !cache.empty()) return cache / "pictures";
  if (const fs::path cache = variable("XDG_CACHE_HOME"); !cache.empty())
    return cache / "elastikv/pictures";
  if (const fs::path home = variable("HOME"); !home.empty())
    return home / ".cache/elastikv/pictures";
  return fs::temp_directory_path() / "elastikv/pictures";
}

std::string content_of(const Sample& sample, const std::string& images) {
  if (sample.has_ids()) {
    return content_hash(
        fmt::format("{}|{}", fmt::join(sample.prompt_ids, ","), fmt::join(sample.answer_ids, ",")));
  }
  // Lengths keep the boundary between question and answer in the hash.
  std::string text = fmt::format("{}:{}{}:{}{}", sample.question.size(), sample.question,
                                 sample.answer.size(), sample.answer, images);
  for (const std::string& reference : sample.references)
    text += fmt::format("|{}:{}", reference.size(), reference);
  // Of most data sets there is none.
  if (!sample.answer_prefix.empty())
    text += fmt::format("|prefix:{}:{}", sample.answer_prefix.size(), sample.answer_prefix);
  for (const EarlierTurn& turn : sample.earlier) {
    text += fmt::format("|earlier:{}:{}{}:{}|{}", turn.question.size(), turn.question,
                        turn.answer.size(), turn.answer, turn.images);
  }
  // What is mended later is another sample.
  if (!sample.problem.empty()) text += "|not usable";
  return content_hash(text);
}

Images::Images(const DataOptions& options, const Check& check, Problems& problems)
    : options_(options),
      check_(check),
      problems_(problems),
      data_folder_(options.path.parent_path()),
      root_(options.image_root.empty() ? data_folder_ : options.image_root) {}

void Images::find_by_id(const std::vector<Draft>& drafts) {
  if (!options_.images_from) return;
  ImagesById table(*options_.images_from, options_.path, problems_);
  std::map<ImagesById::Place, std::string> wanted;  // in the table's order, to be read on
  for (const Draft& draft : drafts) {
    for (const ImageSource& source : draft.images) {
      if (source.id.empty()) continue;
      const auto [entry, is_new] = by_id_.try_emplace(source.id);
      if (!is_new) continue;
      const ImagesById::Named named = table.find(source.id);
      entry->second.kind = named.kind;
      entry->second.problem = named.problem;
      if (named.place) wanted.emplace(*named.place, source.id);
    }
  }
  for (const auto& [place, id] : wanted) {
    ImageSource source;
    source.bytes = [&table, &place = place] { return table.read(place); };
    by_id_.at(id) = in_file(source);
  }
}

void Images::find(Draft& draft) {
  std::string hashes;
  std::string first_hashes;  // of the first turn's
  for (size_t i = 0; i < draft.images.size(); ++i) {
    const Found found = look_up(draft.images[i]);
    if (!found.problem.empty()) problems_.add(found.kind, draft, found.problem);
    if (!found.file.empty())
      draft.sample.images.emplace_back(found.file, options_.image_orientation);
    hashes += found.hash;
    if (options_.image_orientation == ImageOrientation::kExif && found.orientation != 1)
      hashes += fmt::format(" turned from {}", found.orientation);
    hashes += found.decoded;
    if (!found.hash.empty()) draft.shares.push_back("picture:" + found.hash);
    if (!draft.sample.earlier.empty() && i < draft.sample.earlier.front().images)
      first_hashes = hashes;
  }
  if (!draft.sample.earlier.empty())
    draft.sample.first_content = content_of(first_turn(draft.sample), first_hashes);
  draft.sample.content = content_of(draft.sample, hashes);
  // The same question and answer once more is no further draw.
  if (draft.images.empty()) draft.shares.push_back("content:" + draft.sample.content);
}

std::vector<std::string> Images::notes() const {
  if (turned_ == 0) return {};
  const bool exif = options_.image_orientation == ImageOrientation::kExif;
  return {fmt::format(
      "{} of {} image{} {} stored turned or mirrored (EXIF) and {}", turned_, images_,
      images_ == 1 ? "" : "s", turned_ == 1 ? "is" : "are",
      exif ? "turned upright ('image_orientation: exif')"
           : "read as stored, as lmms-eval does; 'image_orientation: exif' turns them upright")};
}

void Images::check_root() {
  if (missing_ && !options_.image_root.empty() && !fs::is_directory(root_))
    problems_.add(ProblemKind::kFolder,
                  fmt::format("image_root is {}, which is no folder", root_.string()));
}

Images::Found Images::look_up(const ImageSource& source) {
  if (!source.id.empty()) return by_id_.at(source.id);
  if (source.bytes) return in_file(source);
  if (source.names.empty()) {
    const auto [entry, is_new] = by_text_.try_emplace(source.embedded.data());
    if (is_new) entry->second = embedded(source.embedded);
    return entry->second;
  }
  const auto [entry, is_new] = by_name_.try_emplace(source.names.front());
  if (is_new) entry->second = named(source.names);
  return entry->second;
}

Images::Found Images::named(const std::vector<std::string>& names) {
  Found found;
  std::vector<fs::path> first_tried;
  for (const std::string& name : names) {
    std::vector<fs::path> tried = candidates(name, root_, data_folder_);
    const auto file = std::find_if(tried.begin(), tried.end(), [](const fs::path& candidate) {
      std::error_code error;
      return fs::exists(candidate, error) && !fs::is_directory(candidate, error);
    });
    if (file != tried.end()) {
      found.file = *file;
      check_file(found);
      return found;
    }
    if (first_tried.empty()) first_tried = std::move(tried);
  }
  missing_ = true;
  found.kind = ProblemKind::kMissingImage;
  found.problem = not_found(first_tried);
  return found;
}

Images::Found Images::embedded(std::string_view base64) {
  Found found;
  const std::string_view digits = without_scheme(base64);
  const std::optional<std::string> bytes = decode_base64(digits);
  if (!bytes) {
    found.kind = ProblemKind::kBase64;
    found.problem = fmt::format("the image '{}' is not base64", shortened(base64));
    return found;
  }
  return kept(*bytes);
}

Images::Found Images::in_file(const ImageSource& source) {
  Found found;
  try {
    const std::optional<std::string> bytes = source.bytes();
    if (bytes && !bytes->empty()) {
      const auto [entry, is_new] = by_hash_.try_emplace(content_hash(*bytes));
      if (is_new) entry->second = kept(*bytes);
      return entry->second;
    }
    if (!bytes && !source.names.empty()) return look_up({source.names, {}});
    found.problem = bytes ? "the image is of 0 bytes" : "the image is null and names no file";
  } catch (const Error& error) {
    found.problem = error.what();
  }
  return found;
}

Images::Found Images::kept(const std::string& bytes) {
  Found found;
  found.hash = content_hash(bytes);
  found.file = store(options_.image_cache.empty() ? default_image_cache() : options_.image_cache,
                     bytes, found.hash);
  check_file(found);
  return found;
}

void Images::check_file(Found& found) {
  try {
    std::error_code ignored;  // what cannot be read is said below
    if (fs::file_size(found.file, ignored) == 0 && !ignored)
      fail("{}: the file is empty", found.file.string());
    if (check_) check_(found.file);
    if (found.hash.empty()) found.hash = file_hash(found.file);
    found.orientation = stored_orientation(found.file);
    const std::string_view decoder = image_decoder(found.file);
    if (const int64_t revision = revision_of(decoder); revision > 1)
      found.decoded = fmt::format(" decoded by {}:{}", decoder, revision);
    ++images_;
    if (found.orientation != 1) ++turned_;
  } catch (const Error& error) {
    found.problem = error.what();
  }
}

}  // namespace elastikv
