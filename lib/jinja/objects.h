#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace elastikv::jinja {

class Runtime;

/// A text in UTF-8, indexed by code points. Markup is text that was escaped or marked safe: what is
/// added to it is escaped.
class StringObject final : public Object {
 public:
  /// `text` is valid UTF-8.
  StringObject(std::string text, bool markup);

  const std::string& text() const { return text_; }
  bool markup() const { return markup_; }
  bool ascii() const { return length_ == text_.size(); }
  /// Code points.
  size_t length() const { return length_; }
  /// The byte at which code point `index` <= length() begins.
  size_t offset(size_t index) const;

 private:
  std::string text_;
  size_t length_ = 0;
  bool markup_ = false;
  /// Offsets of each kStride-th code point; made when first needed.
  mutable std::vector<uint32_t> marks_;
};

/// A list or a tuple.
class ListObject final : public Object {
 public:
  std::vector<Value> items;
  /// How deep lists and dicts nest in this one, at least 1.
  int depth = 1;
  /// A pair of the filter groupby, whose items have the names grouper and list.
  bool group = false;
};

/// Keys and values in the order in which the keys came.
class Entries {
 public:
  using Entry = std::pair<Value, Value>;

  size_t size() const { return entries_.size(); }
  std::vector<Entry>::const_iterator begin() const { return entries_.begin(); }
  std::vector<Entry>::const_iterator end() const { return entries_.end(); }
  const Entry& at(size_t index) const { return entries_[index]; }

  /// Null when there is none. Error for a key that Python cannot hash.
  const Value* find(Runtime& runtime, const Value& key) const;
  const Value* find(std::string_view key) const;
  /// Replaces the value of an equal key, which stays as it is. Error as find's.
  void set(Runtime& runtime, const Value& key, Value value);
  /// Lets go of everything.
  void clear();

 private:
  size_t index_of(Runtime& runtime, const Value& key, size_t hash) const;

  std::vector<Entry> entries_;
  std::unordered_multimap<size_t, uint32_t> index_;  // filled beyond kFewEntries
};

/// Whether a value can be a key, and then its hash: equal keys have equal ones.
std::optional<size_t> hash_of(Runtime& runtime, const Value& key);

class DictObject final : public Object {
 public:
  Entries entries;
  int depth = 1;
};

class RangeObject final : public Object {
 public:
  int64_t start = 0;
  int64_t stop = 0;
  int64_t step = 1;
  int64_t length = 0;
  int64_t at(int64_t index) const { return start + index * step; }
};

/// What keys(), values() and items() of a dict give.
class ViewObject final : public Object {
 public:
  enum class Part : uint8_t { kKeys, kValues, kItems };
  Part part = Part::kKeys;
  Value dict;
};
/// "dict_keys", "dict_values", "dict_items".
std::string_view view_name(ViewObject::Part part);

/// A name or an item that is not there, and what to say when it is used.
class UndefinedObject final : public Object {
 public:
  std::string message;
};

/// An object that can come to hold itself. Those of a rendering are emptied at its end.
class Changeable : public Object {
 public:
  virtual void empty() = 0;
};

class NamespaceObject final : public Changeable {
 public:
  void empty() override { entries.clear(); }
  Entries entries;
};

/// Gives values one after another, once.
class Iterator : public Object {
 public:
  /// False at the end.
  virtual bool next(Runtime& runtime, Value& item) = 0;
};

/// What a call is given.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// A macro, or a loop that is called.
class Callable : public Changeable {
 public:
  virtual Value call(Runtime& runtime, Arguments& arguments) = 0;
  /// The value of an attribute; nothing when it has none of this name.
  virtual std::optional<Value> attribute(Runtime& runtime, std::string_view name) = 0;
  /// What Python prints for it.
  virtual std::string text() const = 0;
};

/// A function of Jinja's, such as range.
class FunctionObject final : public Object {
 public:
  using Function = Value (*)(Runtime& runtime, Arguments& arguments);
  std::string_view name;
  Function function = nullptr;
};

/// A method of a value, to be called.
class MethodObject final : public Object {
 public:
  using Method = Value (*)(Runtime& runtime, const Value& self, Arguments& arguments);
  std::string_view name;
  Method method = nullptr;
  Value self;
};

class CyclerObject final : public Object {
 public:
  std::vector<Value> items;
  size_t position = 0;
};

class JoinerObject final : public Object {
 public:
  Value separator;
  bool used = false;
};

}  // namespace elastikv::jinja
