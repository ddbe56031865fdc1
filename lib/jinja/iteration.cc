// What Python's iter(), list() and reversed() give.

#include <algorithm>

#include "jinja/characters.h"
#include "jinja/operators.h"

namespace elastikv::jinja {
namespace {

/// Over a list, a tuple, a range or a view, by index.
class IndexIterator final : public Iterator {
 public:
  explicit IndexIterator(Value value) : value_(std::move(value)), count_(length(value_)) {}
  bool next(Runtime& runtime, Value& item) override {
    if (index_ >= count_) return false;
    item = at(runtime, index_++);
    return true;
  }

 private:
  Value at(Runtime& runtime, int64_t index) const {
    const auto place = static_cast<size_t>(index);
    if (value_.is(Kind::kRange)) return Value::integer(value_.as<RangeObject>().at(index));
    if (value_.is(Kind::kDict)) return value_.as<DictObject>().entries.at(place).first;
    if (!value_.is(Kind::kView)) return value_.as<ListObject>().items[place];
    const auto& view = value_.as<ViewObject>();
    const Entries::Entry& entry = view.dict.as<DictObject>().entries.at(place);
    if (view.part == ViewObject::Part::kKeys) return entry.first;
    if (view.part == ViewObject::Part::kValues) return entry.second;
    return runtime.tuple({entry.first, entry.second});
  }

  Value value_;
  int64_t count_;
  int64_t index_ = 0;
};

class CharacterIterator final : public Iterator {
 public:
  explicit CharacterIterator(Value value) : value_(std::move(value)) {}
  bool next(Runtime& runtime, Value& item) override {
    const auto& string = value_.as<StringObject>();
    if (at_ >= string.text().size()) return false;
    const size_t size = character_size(string.text()[at_]);
    // Python's str.__iter__ gives plain characters of markup, too.
    item = runtime.string(string.text().substr(at_, size));
    at_ += size;
    return true;
  }

 private:
  Value value_;
  size_t at_ = 0;
};

class OwnedIterator final : public Iterator {
 public:
  explicit OwnedIterator(std::vector<Value> items) : items_(std::move(items)) {}
  bool next(Runtime& /*runtime*/, Value& item) override {
    if (index_ >= items_.size()) return false;
    item = std::move(items_[index_++]);
    return true;
  }

 private:
  std::vector<Value> items_;
  size_t index_ = 0;
};

}  // namespace

std::optional<Ref<Iterator>> iterator_of(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kMissing:
      return Ref<Iterator>(runtime.make<OwnedIterator>(0, std::vector<Value>()).get());
    case Kind::kString:
      return Ref<Iterator>(runtime.make<CharacterIterator>(0, value).get());
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kRange:
    case Kind::kView:
      return Ref<Iterator>(runtime.make<IndexIterator>(0, value).get());
    case Kind::kIterator:
      return Ref<Iterator>(&value.as_mutable<Iterator>());
    default:
      return std::nullopt;
  }
}

Ref<Iterator> iterate(Runtime& runtime, const Value& value) {
  auto items = iterator_of(runtime, value);
  if (!items) fail("'{}' object is not iterable", type_name(value));
  return *items;
}

std::vector<Value> items_of(Runtime& runtime, const Value& value) {
  if (value.is(Kind::kList) || value.is(Kind::kTuple)) {
    runtime.step(length(value) / 16 + 1);
    runtime.require_room(value.as<ListObject>().items.size() * sizeof(Value));
    return value.as<ListObject>().items;
  }
  const Ref<Iterator> source = iterate(runtime, value);
  std::vector<Value> items;
  Value item;
  while (source->next(runtime, item)) {
    runtime.step();
    items.push_back(std::move(item));
  }
  return items;
}

std::optional<std::vector<Value>> reversed_items(Runtime& runtime, const Value& value) {
  const bool is_values_of_no_length = value.is(Kind::kIterator) || !length_of(value);
  if (is_values_of_no_length) return std::nullopt;
  std::vector<Value> items = items_of(runtime, value);
  std::reverse(items.begin(), items.end());
  return items;
}

Value iterator_over(Runtime& runtime, std::vector<Value> items) {
  const size_t bytes = items.size() * sizeof(Value);
  return {Kind::kIterator, runtime.make<OwnedIterator>(bytes, std::move(items))};
}

}  // namespace elastikv::jinja
