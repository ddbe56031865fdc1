#include "weights/state_dict_pickle.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "weights/pickle_machine.h"
#include "weights/pickle_objects.h"
#include "weights/tensor_names.h"

namespace elastikv {
namespace {

// A tensor takes about 300 bytes; the largest models have some tens of thousands of tensors.
constexpr size_t kLongestPickle = 100'000'000;
constexpr size_t kMostTensors = 200'000;

/// The tensors in what a pickle came to.
class StateDict final {
 public:
  StateDict(const PickleObjects& objects, std::string_view file) : objects_(objects), file_(file) {}

  /// `result`: a dictionary of them, alone or under 'model' or 'state_dict'.
  std::vector<std::pair<std::string, PickledTensor>> tensors(const PickleValue& result) const {
    const PickleObjects::Items& items = items_of(result);
    if (items.size() > kMostTensors)
      fail("{}: holds {} tensors, at most {} are allowed", file_, items.size(), kMostTensors);
    std::vector<std::pair<std::string, PickledTensor>> named;
    named.reserve(items.size());
    std::set<std::string_view> names;
    for (const auto& [key, value] : items) {
      const std::string_view name = objects_.text(key.index());
      if (!names.insert(name).second)
        fail("{}: data.pkl holds the name '{}' twice", file_, printable_name(name));
      const PickleObjects::Tensor& tensor = objects_.tensor(value.index());
      const PickleObjects::Storage& storage = objects_.storage(tensor.storage);
      int64_t bytes = 0;
      if (storage.elements < 0 ||
          __builtin_mul_overflow(storage.elements,
                                 static_cast<int64_t>(c10::elementSize(storage.type)), &bytes)) {
        fail("{}: tensor '{}': a storage of {} elements is not possible", file_,
             printable_name(name), storage.elements);
      }
      named.emplace_back(
          std::string(name),
          PickledTensor{objects_.text(storage.key), bytes, tensor.type, tensor.offset,
                        numbers(tensor.shape), numbers(tensor.strides)});
    }
    return named;
  }

 private:
  const PickleObjects::Items& items_of(const PickleValue& result) const {
    if (result.kind != PickleValue::Kind::kDict) {
      fail("{}: holds {}; a dictionary of tensors is needed", file_, kind_text(result.kind));
    }
    const PickleObjects::Items& items = objects_.dict(result.index());
    if (all_tensors(items)) return items;
    if (items.size() == 1 && items[0].first.kind == PickleValue::Kind::kText &&
        items[0].second.kind == PickleValue::Kind::kDict) {
      const std::string_view key = objects_.text(items[0].first.index());
      const PickleObjects::Items& inner = objects_.dict(items[0].second.index());
      if ((key == "model" || key == "state_dict") && all_tensors(inner)) return inner;
    }
    constexpr size_t kShown = 4;
    std::string found;
    for (size_t i = 0; i < std::min(items.size(), kShown); ++i) {
      found += fmt::format("{}{}: {}", i == 0 ? "" : ", ", key_text(items[i].first),
                           kind_text(items[i].second.kind));
    }
    if (items.size() > kShown) found += fmt::format(" and {} more", items.size() - kShown);
    fail(
        "{}: holds a dictionary of other things than tensors ({}); tensors by name are needed, or "
        "such a dictionary alone under 'model' or 'state_dict'",
        file_, found);
  }

  std::string key_text(const PickleValue& key) const {
    return key.kind == PickleValue::Kind::kText
               ? fmt::format("'{}'", printable_name(objects_.text(key.index())))
               : kind_text(key.kind);
  }

  static bool all_tensors(const PickleObjects::Items& items) {
    return std::all_of(items.begin(), items.end(), [](const auto& item) {
      return item.first.kind == PickleValue::Kind::kText &&
             item.second.kind == PickleValue::Kind::kTensor;
    });
  }

  std::vector<int64_t> numbers(size_t sequence) const {
    std::vector<int64_t> all;
    const std::vector<PickleValue>& items = objects_.items(sequence);
    all.reserve(items.size());
    for (const PickleValue& value : items) all.push_back(value.number);
    return all;
  }

  const PickleObjects& objects_;
  std::string_view file_;
};

}  // namespace

std::vector<std::pair<std::string, PickledTensor>> read_state_dict(std::string_view pickle,
                                                                   std::string_view file) {
  if (pickle.size() > kLongestPickle) {
    fail("{}: data.pkl is {} bytes long, at most {} are allowed", file, pickle.size(),
         kLongestPickle);
  }
  PickleObjects objects(file);
  const PickleValue result = PickleMachine(pickle, objects).run();
  return StateDict(objects, file).tensors(result);
}

}  // namespace elastikv
