#include "jinja/objects.h"

#include <cmath>
#include <functional>

#include "jinja/characters.h"
#include "jinja/operators.h"
#include "jinja/runtime.h"

namespace elastikv::jinja {
namespace {

constexpr size_t kStride = 64;
constexpr size_t kFewEntries = 8;
constexpr size_t kNotFound = static_cast<size_t>(-1);

size_t mixed(size_t hash, size_t other) { return (hash ^ other) * 0x9E3779B97F4A7C15ULL; }

}  // namespace

StringObject::StringObject(std::string text, bool markup)
    : text_(std::move(text)), markup_(markup) {
  length_ = count_characters(text_);
}

size_t StringObject::offset(size_t index) const {
  if (ascii()) return index;
  if (index >= length_) return text_.size();
  if (marks_.empty()) {
    size_t count = 0;
    for (size_t at = 0; at < text_.size(); at += character_size(text_[at]), ++count) {
      if (count % kStride == 0) marks_.push_back(static_cast<uint32_t>(at));
    }
  }
  size_t at = marks_[index / kStride];
  for (size_t count = index % kStride; count > 0; --count) at += character_size(text_[at]);
  return at;
}

std::optional<size_t> hash_of(Runtime& runtime, const Value& key) {
  runtime.step();
  switch (key.kind()) {
    case Kind::kNone:
      return 0x6e6f6e65;
    case Kind::kBoolean:
    case Kind::kInteger:
      return std::hash<int64_t>()(key.as_integer());
    case Kind::kFloat: {
      // A whole number is the same key as the integer.
      const double number = key.as_float();
      if (number == std::floor(number) && std::abs(number) < 0x1p62) {
        return std::hash<int64_t>()(static_cast<int64_t>(number));
      }
      return std::hash<double>()(number);
    }
    case Kind::kString:
      return std::hash<std::string>()(key.as<StringObject>().text());
    case Kind::kTuple: {
      size_t hash = 7;
      for (const Value& item : key.as<ListObject>().items) {
        const auto part = hash_of(runtime, item);
        if (!part) return std::nullopt;
        hash = mixed(hash, *part);
      }
      return hash;
    }
    case Kind::kUndefined:
      return 0x756e64;
    case Kind::kList:
    case Kind::kDict:
    case Kind::kView:
      return std::nullopt;
    case Kind::kRange: {
      const auto& range = key.as<RangeObject>();
      return mixed(static_cast<size_t>(range.length), static_cast<size_t>(range.start));
    }
    default:
      return std::hash<const void*>()(key.object());
  }
}

size_t Entries::index_of(Runtime& runtime, const Value& key, size_t hash) const {
  if (entries_.size() <= kFewEntries) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (equal(runtime, entries_[i].first, key)) return i;
    }
    return kNotFound;
  }
  const auto [first, last] = index_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    if (equal(runtime, entries_[it->second].first, key)) return it->second;
  }
  return kNotFound;
}

const Value* Entries::find(Runtime& runtime, const Value& key) const {
  const auto hash = hash_of(runtime, key);
  if (!hash) fail("unhashable type: '{}'", type_name(key));
  const size_t index = index_of(runtime, key, *hash);
  return index == kNotFound ? nullptr : &entries_[index].second;
}

const Value* Entries::find(std::string_view key) const {
  const auto holds = [&](const Entry& entry) {
    return entry.first.is_string() && entry.first.as<StringObject>().text() == key;
  };
  if (entries_.size() <= kFewEntries) {
    for (const Entry& entry : entries_) {
      if (holds(entry)) return &entry.second;
    }
    return nullptr;
  }
  const auto [first, last] = index_.equal_range(std::hash<std::string_view>()(key));
  for (auto it = first; it != last; ++it) {
    if (holds(entries_[it->second])) return &entries_[it->second].second;
  }
  return nullptr;
}

void Entries::set(Runtime& runtime, const Value& key, Value value) {
  const auto hash = hash_of(runtime, key);
  if (!hash) fail("unhashable type: '{}'", type_name(key));
  const size_t index = index_of(runtime, key, *hash);
  if (index != kNotFound) {
    entries_[index].second = std::move(value);
    return;
  }
  entries_.emplace_back(key, std::move(value));
  if (entries_.size() == kFewEntries + 1) {
    for (size_t i = 0; i < kFewEntries; ++i) {
      index_.emplace(*hash_of(runtime, entries_[i].first), static_cast<uint32_t>(i));
    }
  }
  if (entries_.size() > kFewEntries) {
    index_.emplace(*hash, static_cast<uint32_t>(entries_.size() - 1));
  }
}

void Entries::clear() {
  const std::vector<Entry> gone = std::move(entries_);
  entries_.clear();
  index_.clear();
}

std::string_view view_name(ViewObject::Part part) {
  switch (part) {
    case ViewObject::Part::kKeys:
      return "dict_keys";
    case ViewObject::Part::kValues:
      return "dict_values";
    case ViewObject::Part::kItems:
      return "dict_items";
  }
  return "";
}

}  // namespace elastikv::jinja
