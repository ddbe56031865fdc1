#include "weights/checkpoint.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "weights/strict_json.h"
#include "weights/tensor_names.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

[[noreturn]] void fail_without_weights(const fs::path& folder) {
  for (const char* pickled : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (!fs::exists(folder / pickled)) continue;
    fail(
        "{}: neither {} nor {} is there, only {}, which is not supported (a pickle can run code); "
        "convert it in Python: load the folder with transformers' from_pretrained, then call "
        "save_pretrained",
        folder.string(), kSingleFile, kIndexFile, pickled);
  }
  fail("{}: no weights here: neither {} nor {} is there", folder.string(), kSingleFile, kIndexFile);
}

/// Shard name -> names of the tensors that the index puts there.
using Shards = std::map<std::string, std::vector<std::string>>;

Shards read_index(const fs::path& file, std::string_view text) {
  // weight_map is at the second level; `metadata` may hold anything within reason.
  constexpr int kDepth = 16;
  nlohmann::json index = parse_strict_json(text, file.string() + ": index", kDepth);
  if (!index.is_object())
    fail("{}: index is {}, a JSON object is needed", file.string(), index.type_name());
  const JsonFields weight_map = JsonFields(std::move(index), file.string()).object("weight_map");
  Shards shards;
  for (const auto& item : weight_map.json().items()) {
    const std::string name = printable_name(item.key());
    if (!item.value().is_string() || item.value().get_ref<const std::string&>().empty())
      fail("{}: weight_map: tensor '{}' needs the name of a file", file.string(), name);
    const auto& shard = item.value().get_ref<const std::string&>();
    const fs::path path(shard);
    // Only the name is judged: in the Hugging Face cache every file is a link to a blob elsewhere.
    if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end()) {
      fail("{}: weight_map: tensor '{}' is put into '{}', outside the checkpoint's folder",
           file.string(), name, printable_name(shard));
    }
    shards[shard].push_back(item.key());
  }
  if (shards.empty()) fail("{}: weight_map is empty", file.string());
  return shards;
}

}  // namespace

struct Checkpoint::Entry {
  size_t file;
  std::string stored_name;
};

struct Checkpoint::State {
  fs::path folder;
  std::vector<SafetensorsFile> files;
  std::string index;  // bytes of the index, empty without one
  std::map<std::string, Entry, std::less<>> entries;
  int64_t parameters = 0;
  int64_t bytes = 0;
  mutable std::once_flag hashed;
  mutable std::string hash;
};

Checkpoint Checkpoint::open(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    fail("{}: {}; a folder with {} or {} is needed", folder.string(),
         fs::exists(folder) ? "not a folder" : "no such folder", kSingleFile, kIndexFile);
  }
  auto state = std::make_shared<State>();
  state->folder = folder;
  std::vector<std::pair<size_t, std::string>> stored;  // file, name in it
  if (fs::exists(folder / kSingleFile)) {
    state->files.emplace_back(folder / kSingleFile);
    for (std::string& name : state->files.front().names()) stored.emplace_back(0, std::move(name));
  } else if (const fs::path index = folder / kIndexFile; fs::exists(index)) {
    state->index = read_file(index);
    for (auto& [shard, names] : read_index(index, state->index)) {
      const fs::path path = folder / shard;
      if (!fs::exists(path)) {
        const std::string others =
            names.size() == 1 ? "" : fmt::format(" and {} more", names.size() - 1);
        fail("{}: shard '{}' is missing from the folder; it holds tensor '{}'{}", index.string(),
             printable_name(shard), printable_name(names.front()), others);
      }
      const SafetensorsFile& file = state->files.emplace_back(path);
      for (std::string& name : names) {
        if (!file.has(name)) {
          fail("{}: tensor '{}' is missing; {} says that it is in this file", path.string(),
               printable_name(name), kIndexFile);
        }
        stored.emplace_back(state->files.size() - 1, std::move(name));
      }
    }
  } else {
    fail_without_weights(folder);
  }

  std::vector<std::string> stored_names;
  stored_names.reserve(stored.size());
  for (const auto& [file, name] : stored) stored_names.push_back(name);
  const std::vector<std::string> canonical = canonical_names(stored_names);
  for (size_t i = 0; i < stored.size(); ++i) {
    const auto& [file, name] = stored[i];
    const auto [place, fresh] = state->entries.emplace(canonical[i], Entry{file, name});
    if (!fresh) {
      fail("{}: tensors '{}' and '{}' are two spellings of '{}'; only one may be there",
           folder.string(), printable_name(place->second.stored_name), printable_name(name),
           printable_name(canonical[i]));
    }
    const TensorInfo& info = state->files[file].info(name);
    state->parameters += info.elements();
    state->bytes += static_cast<int64_t>(info.bytes());
  }
  return Checkpoint(std::move(state));
}

const fs::path& Checkpoint::folder() const { return state_->folder; }

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> all;
  all.reserve(state_->entries.size());
  for (const auto& [name, entry] : state_->entries) all.push_back(name);
  return all;
}

bool Checkpoint::has(std::string_view name) const { return state_->entries.count(name) != 0; }

const Checkpoint::Entry& Checkpoint::entry(std::string_view name) const {
  const auto found = state_->entries.find(name);
  if (found == state_->entries.end()) {
    const std::string nearest = nearest_name(name, names());
    fail("{}: no tensor '{}'{}", state_->folder.string(), printable_name(name),
         nearest.empty() ? "" : fmt::format("; did you mean '{}'?", printable_name(nearest)));
  }
  return found->second;
}

const TensorInfo& Checkpoint::info(std::string_view name) const {
  const Entry& found = entry(name);
  return state_->files[found.file].info(found.stored_name);
}

at::Tensor Checkpoint::tensor(std::string_view name) const {
  const Entry& found = entry(name);
  return state_->files[found.file].tensor(found.stored_name);
}

const fs::path& Checkpoint::file_of(std::string_view name) const {
  return state_->files[entry(name).file].path();
}

const std::string& Checkpoint::stored_name(std::string_view name) const {
  return entry(name).stored_name;
}

int64_t Checkpoint::parameters() const { return state_->parameters; }
int64_t Checkpoint::bytes() const { return state_->bytes; }

const std::string& Checkpoint::content_hash() const {
  std::call_once(state_->hashed, [this] {
    // The files' names and places stay out: moving a checkpoint does not change what it computes.
    std::string hashes = elastikv::content_hash(state_->index);
    for (const SafetensorsFile& file : state_->files)
      hashes += elastikv::content_hash(file.bytes());
    state_->hash = elastikv::content_hash(hashes);
  });
  return state_->hash;
}

}  // namespace elastikv
