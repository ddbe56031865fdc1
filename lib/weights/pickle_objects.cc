#include "weights/pickle_objects.h"

#include <optional>

#include "weights/tensor_names.h"
#include "weights/weight_file.h"

namespace elastikv {
namespace {

// A tensor takes about 22 objects, texts and notes; the largest models have some tens of thousands
// of tensors.
constexpr size_t kMostObjects = 4'000'000;

using Kind = PickleValue::Kind;

}  // namespace

const char* kind_text(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "a boolean";
    case Kind::kInt:
    case Kind::kFloat:
      return "a number";
    case Kind::kText:
      return "a text";
    case Kind::kBytes:
      return "bytes";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kDict:
      return "a dictionary";
    case Kind::kGlobal:
      return "a type or function";
    case Kind::kStorage:
      return "a storage";
    case Kind::kTensor:
      return "a tensor";
  }
  return "";
}

void PickleObjects::charge(size_t objects) {
  made_ += objects;
  if (made_ > kMostObjects) problem("makes more than {} objects", kMostObjects);
}

PickleValue PickleObjects::make_text(std::string_view text) {
  charge();
  texts_.push_back(text);
  return {Kind::kText, static_cast<int64_t>(texts_.size() - 1)};
}

PickleValue PickleObjects::make_sequence(Kind kind, std::vector<PickleValue> items) {
  charge();
  sequences_.push_back(std::move(items));
  return {kind, static_cast<int64_t>(sequences_.size() - 1)};
}

PickleValue PickleObjects::make_dict(Items items) {
  charge();
  dicts_.push_back(std::move(items));
  return {Kind::kDict, static_cast<int64_t>(dicts_.size() - 1)};
}

PickleValue PickleObjects::make_global(std::string_view module, std::string_view name) const {
  const std::optional<size_t> known = find_pickle_global(module, name);
  if (!known) {
    fail(
        "{}: data.pkl asks for {}.{}, which is not run; only tensors, parameters and ordered "
        "dictionaries of them are read from a pickle",
        file_, printable_name(module), printable_name(name));
  }
  return {Kind::kGlobal, static_cast<int64_t>(*known)};
}

void PickleObjects::append(const PickleValue& list, const std::vector<PickleValue>& values) {
  if (list.kind != Kind::kList) problem("appends to {}", kind_text(list.kind));
  std::vector<PickleValue>& items = sequences_[list.index()];
  items.insert(items.end(), values.begin(), values.end());
}

void PickleObjects::set_items(const PickleValue& dict, const std::vector<PickleValue>& values) {
  if (dict.kind != Kind::kDict) problem("sets items of {}", kind_text(dict.kind));
  if (values.size() % 2 != 0) problem("sets an item without a value");
  Items& items = dicts_[dict.index()];
  for (size_t i = 0; i < values.size(); i += 2) items.emplace_back(values[i], values[i + 1]);
}

const std::vector<PickleValue>& PickleObjects::sequence(const PickleValue& value,
                                                        const char* what) const {
  if (value.kind != Kind::kTuple && value.kind != Kind::kList)
    problem("{} is {}, a tuple is needed", what, kind_text(value.kind));
  return sequences_[value.index()];
}

int64_t PickleObjects::integer(const PickleValue& value, const char* what) const {
  if (value.kind != Kind::kInt)
    problem("{} is {}, a whole number is needed", what, kind_text(value.kind));
  return value.number;
}

size_t PickleObjects::text_index(const PickleValue& value, const char* what) const {
  if (value.kind != Kind::kText) problem("{} is {}, a text is needed", what, kind_text(value.kind));
  return value.index();
}

const PickleGlobal& PickleObjects::global(const PickleValue& value, const char* what) const {
  if (value.kind != Kind::kGlobal)
    problem("{} is {}, a type or function is needed", what, kind_text(value.kind));
  return pickle_global(value.index());
}

PickleValue PickleObjects::make_storage(const PickleValue& id) {
  const std::vector<PickleValue>& parts = sequence(id, "a persistent id");
  if (parts.size() != 5 || texts_[text_index(parts[0], "a persistent id's kind")] != "storage")
    problem("a persistent id is not that of a storage");
  const PickleGlobal& type = global(parts[1], "a storage's type");
  if (type.role != PickleGlobal::Role::kStorageType &&
      type.role != PickleGlobal::Role::kUntypedStorage)
    problem("a storage's type is {}.{}", type.module, type.name);
  const bool untyped = type.role == PickleGlobal::Role::kUntypedStorage;
  charge();
  storages_.push_back({text_index(parts[2], "a storage's key"),
                       untyped ? c10::ScalarType::Byte : type.type, untyped,
                       integer(parts[4], "a storage's size")});
  return {Kind::kStorage, static_cast<int64_t>(storages_.size() - 1)};
}

size_t PickleObjects::sizes(const PickleValue& value, const char* what) const {
  // Lists could still change.
  if (value.kind != Kind::kTuple)
    problem("{} is {}, a tuple is needed", what, kind_text(value.kind));
  const std::vector<PickleValue>& items = sequences_[value.index()];
  if (items.size() > kMostDimensions) {
    problem("{} has {} dimensions, at most {} are possible", what, items.size(), kMostDimensions);
  }
  for (const PickleValue& item : items) integer(item, what);
  return value.index();
}

/// (storage, offset, shape, strides, requires_grad, hooks[, dtype][, metadata])
PickleValue PickleObjects::make_tensor(const std::vector<PickleValue>& arguments, bool with_dtype) {
  const size_t needed = with_dtype ? 7 : 6;
  if (arguments.size() != needed && arguments.size() != needed + 1)
    problem("a tensor of {} arguments", arguments.size());
  if (arguments[0].kind != Kind::kStorage)
    problem("a tensor's storage is {}", kind_text(arguments[0].kind));
  const Storage& storage = storages_[arguments[0].index()];
  c10::ScalarType type = storage.type;
  if (with_dtype) {
    const PickleGlobal& dtype = global(arguments[6], "a tensor's dtype");
    if (dtype.role != PickleGlobal::Role::kDtype)
      problem("a tensor's dtype is {}.{}", dtype.module, dtype.name);
    type = dtype.type;
  } else if (storage.untyped) {
    problem("a tensor of an untyped storage has no dtype");
  }
  charge();
  tensors_.push_back({arguments[0].index(), type, integer(arguments[1], "a tensor's offset"),
                      sizes(arguments[2], "a tensor's shape"),
                      sizes(arguments[3], "a tensor's stride")});
  return {Kind::kTensor, static_cast<int64_t>(tensors_.size() - 1)};
}

/// An ordered dictionary of nothing, or of a list of pairs as Python 2 wrote it.
PickleValue PickleObjects::make_ordered_dict(const std::vector<PickleValue>& arguments) {
  Items items;
  if (arguments.size() > 1) problem("an OrderedDict of {} arguments", arguments.size());
  if (!arguments.empty()) {
    const std::vector<PickleValue>& pairs = sequence(arguments[0], "an OrderedDict's argument");
    charge(pairs.size());
    items.reserve(pairs.size());
    for (const PickleValue& pair : pairs) {
      const std::vector<PickleValue>& parts = sequence(pair, "an OrderedDict's item");
      if (parts.size() != 2) problem("an OrderedDict's item has {} parts", parts.size());
      items.emplace_back(parts[0], parts[1]);
    }
  }
  return make_dict(std::move(items));
}

/// No function takes more than 8; a copy, for the tables may move while it is used.
std::vector<PickleValue> PickleObjects::arguments_of(const PickleValue& packed) const {
  constexpr size_t kMost = 8;
  const std::vector<PickleValue>& arguments = sequence(packed, "a call's arguments");
  if (packed.kind != Kind::kTuple) problem("a call's arguments are a list");
  if (arguments.size() > kMost) problem("a call of {} arguments", arguments.size());
  return arguments;
}

PickleValue PickleObjects::call(const PickleValue& function, const PickleValue& packed) {
  using Role = PickleGlobal::Role;
  const PickleGlobal& called = global(function, "what is called");
  const std::vector<PickleValue> arguments = arguments_of(packed);
  switch (called.role) {
    case Role::kOrderedDict:
      return make_ordered_dict(arguments);
    case Role::kSize:
      if (arguments.size() != 1) problem("a Size of {} arguments", arguments.size());
      return {Kind::kTuple, static_cast<int64_t>(sizes(arguments[0], "a Size"))};
    case Role::kTensorV2:
      return make_tensor(arguments, /*with_dtype=*/false);
    case Role::kTensorV3:
      return make_tensor(arguments, /*with_dtype=*/true);
    case Role::kParameter:
      if (arguments.size() != 3 || arguments[0].kind != Kind::kTensor)
        problem("a parameter is not made of a tensor");
      return arguments[0];
    case Role::kStorageType:
    case Role::kUntypedStorage:
    case Role::kDtype:
      break;
  }
  problem("calls {}.{}", called.module, called.name);
}

}  // namespace elastikv
