#include "weights/checkpoint.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/nearest_name.h"
#include "weights/missing_files.h"
#include "weights/pytorch_file.h"
#include "weights/safetensors.h"
#include "weights/strict_json.h"
#include "weights/tensor_names.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

/// One of the two forms that a folder's weights come in.
struct Form {
  const char* single_file;
  const char* index_file;
  std::unique_ptr<const WeightFile> (*open)(const fs::path& file);
};

template <typename File>
std::unique_ptr<const WeightFile> open_file(const fs::path& file) {
  return std::make_unique<const File>(file);
}

/// In the order in which transformers looks for them.
constexpr std::array kForms{
    Form{"model.safetensors", "model.safetensors.index.json", open_file<SafetensorsFile>},
    Form{"pytorch_model.bin", "pytorch_model.bin.index.json", open_file<PytorchFile>},
};

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
  std::vector<std::shared_ptr<const WeightFile>> files;
  std::string index;  // bytes of the index, empty without one
  std::map<std::string, Entry, std::less<>> entries;
  int64_t parameters = 0;
  int64_t bytes = 0;
  std::vector<Checkpoint> parts;  // that this one was put together from
  mutable std::once_flag hashed;
  mutable std::string hash;

  void count(const TensorInfo& info) {
    parameters += info.elements();
    bytes += static_cast<int64_t>(info.bytes());
  }
};

namespace {

/// The form of a folder's weights; kForms.end() without any.
auto find_form(const fs::path& folder) {
  return std::find_if(kForms.begin(), kForms.end(), [&](const Form& candidate) {
    return fs::exists(folder / candidate.single_file) || fs::exists(folder / candidate.index_file);
  });
}

}  // namespace

std::vector<std::string> missing_weight_files(const fs::path& folder) {
  const auto* form = find_form(folder);
  if (form == kForms.end()) {
    return {fmt::format("the weights: {} or its shards with {}, or {} or its shards with {}",
                        kForms[0].single_file, kForms[0].index_file, kForms[1].single_file,
                        kForms[1].index_file)};
  }
  std::vector<std::string> missing;
  if (fs::exists(folder / form->single_file)) return missing;
  const fs::path index = folder / form->index_file;
  for (const auto& [shard, names] : read_index(index, read_file(index))) {
    if (!fs::exists(folder / shard)) missing.push_back(printable_name(shard));
  }
  return missing;
}

Checkpoint Checkpoint::open(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    fail("{}: {}; a folder with {} or {} is needed", folder.string(),
         fs::exists(folder) ? "not a folder" : "no such folder", kForms[0].single_file,
         kForms[0].index_file);
  }
  auto state = std::make_shared<State>();
  state->folder = folder;
  const auto* form = find_form(folder);
  if (form == kForms.end()) {
    fail("{}: no weights here: none of {}, {}, {} and {} is there", folder.string(),
         kForms[0].single_file, kForms[0].index_file, kForms[1].single_file, kForms[1].index_file);
  }
  std::vector<std::pair<size_t, std::string>> stored;  // file, name in it
  if (fs::exists(folder / form->single_file)) {
    state->files.push_back(form->open(folder / form->single_file));
    for (std::string& name : state->files.front()->names()) stored.emplace_back(0, std::move(name));
  } else {
    const fs::path index = folder / form->index_file;
    state->index = read_file(index);
    for (auto& [shard, names] : read_index(index, state->index)) {
      const fs::path path = folder / shard;
      if (!path_exists(path)) {
        const std::string others =
            names.size() == 1 ? "" : fmt::format(" and {} more", names.size() - 1);
        fail("{}: shard '{}' is missing from the folder; it holds tensor '{}'{}", index.string(),
             printable_name(shard), printable_name(names.front()), others);
      }
      const WeightFile& file = *state->files.emplace_back(form->open(path));
      for (std::string& name : names) {
        if (!file.has(name)) {
          fail("{}: tensor '{}' is missing; {} says that it is in this file", path.string(),
               printable_name(name), form->index_file);
        }
        stored.emplace_back(state->files.size() - 1, std::move(name));
      }
    }
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
    state->count(state->files[file]->info(name));
  }
  return Checkpoint(std::move(state));
}

Checkpoint Checkpoint::with_vision_tower(const Checkpoint& clip) const {
  constexpr std::string_view kStored = "vision_model.";
  constexpr std::string_view kTower = "model.vision_tower.";
  const auto tower = state_->entries.lower_bound(kTower);
  if (tower != state_->entries.end() && tower->first.starts_with(kTower)) {
    fail("{}: has a vision tower already ('{}'); none can be added", state_->folder.string(),
         printable_name(tower->second.stored_name));
  }
  auto state = std::make_shared<State>();
  state->folder = state_->folder;
  state->files = state_->files;
  state->entries = state_->entries;
  state->parameters = state_->parameters;
  state->bytes = state_->bytes;
  state->parts = {*this, clip};
  const size_t first_file = state->files.size();
  state->files.insert(state->files.end(), clip.state_->files.begin(), clip.state_->files.end());
  for (const auto& [name, entry] : clip.state_->entries) {
    if (!name.starts_with(kStored)) continue;
    state->entries.emplace(fmt::format("{}{}", kTower, name.substr(kStored.size())),
                           Entry{first_file + entry.file, entry.stored_name});
    state->count(clip.info(name));
  }
  if (state->entries.size() == state_->entries.size()) {
    fail("{}: no vision tower here: no tensor's name begins with '{}'",
         clip.state_->folder.string(), kStored);
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
  return state_->files[found.file]->info(found.stored_name);
}

at::Tensor Checkpoint::tensor(std::string_view name) const {
  const Entry& found = entry(name);
  return state_->files[found.file]->tensor(found.stored_name);
}

void Checkpoint::release(std::string_view name) const {
  const Entry& found = entry(name);
  state_->files[found.file]->release(found.stored_name);
}

void Checkpoint::forget(std::string_view name) const {
  const Entry& found = entry(name);
  state_->files[found.file]->forget(found.stored_name);
}

const fs::path& Checkpoint::file_of(std::string_view name) const {
  return state_->files[entry(name).file]->path();
}

const std::string& Checkpoint::stored_name(std::string_view name) const {
  return entry(name).stored_name;
}

int64_t Checkpoint::parameters() const { return state_->parameters; }
int64_t Checkpoint::bytes() const { return state_->bytes; }

const std::string& Checkpoint::content_hash() const {
  std::call_once(state_->hashed, [this] {
    // The files' names and places stay out: moving a checkpoint does not change what it computes.
    std::string hashes;
    if (state_->parts.empty()) {
      hashes = elastikv::content_hash(state_->index);
      for (const auto& file : state_->files) hashes += file->hash();
    }
    for (const Checkpoint& part : state_->parts) hashes += part.content_hash();
    state_->hash = elastikv::content_hash(hashes);
  });
  return state_->hash;
}

}  // namespace elastikv
