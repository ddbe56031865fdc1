#include "jinja/runtime.h"

#include <algorithm>

namespace elastikv::jinja {
namespace {

/// More than any limit of memory.
constexpr size_t kMostBytes = size_t{1} << 62;

int depth_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kTuple:
      return value.as<ListObject>().depth;
    case Kind::kDict:
      return value.as<DictObject>().depth;
    case Kind::kView:
      return value.as<ViewObject>().dict.as<DictObject>().depth;
    default:
      return 0;
  }
}

void check_depth(int depth) {
  if (depth > Runtime::kMostDepth) {
    fail("lists and dicts are nested deeper than {} levels", Runtime::kMostDepth);
  }
}

}  // namespace

Runtime::~Runtime() { empty_all(); }

void Runtime::empty_all() {
  for (const auto& object : changeable_) object->empty();
  changeable_.clear();
}

void Runtime::forget(Changeable& object) {
  constexpr uint32_t kHereAndTheCaller = 2;
  if (object.owners() > kHereAndTheCaller) return;
  object.empty();
  if (!changeable_.empty() && changeable_.back().get() == &object) changeable_.pop_back();
}

void Runtime::remember(Changeable* object) {
  if (changeable_.size() >= sweep_at_) {
    const auto alone = [](const Ref<Changeable>& held) { return held->owners() == 1; };
    changeable_.erase(std::remove_if(changeable_.begin(), changeable_.end(), alone),
                      changeable_.end());
    sweep_at_ = std::max<size_t>(1024, changeable_.size() * 2);
  }
  changeable_.emplace_back(object);
}

void Runtime::fail_steps() const {
  fail("the template does not end: more than {} steps", environment_.limits.steps);
}

void Runtime::fail_levels() {
  --levels_;
  fail("nested deeper than {} levels", kMostLevels);
}

void Runtime::require_room(size_t bytes) const {
  const size_t most = environment_.limits.memory_bytes;
  if (bytes > most || meter_.bytes > most - bytes) {
    fail("the template's values take more than {} bytes", most);
  }
}

Value Runtime::string(std::string text, bool markup) {
  step_bytes(text.size());
  const size_t bytes = text.size();
  return {Kind::kString, make<StringObject>(bytes, std::move(text), markup)};
}

Ref<ListObject> Runtime::list_object(std::vector<Value> items) {
  step(static_cast<int64_t>(items.size() / 16));
  auto object = make<ListObject>(items.size() * sizeof(Value));
  for (const Value& item : items) object->depth = std::max(object->depth, depth_of(item) + 1);
  check_depth(object->depth);
  object->items = std::move(items);
  return object;
}

Value Runtime::list(std::vector<Value> items) {
  return {Kind::kList, list_object(std::move(items))};
}

Value Runtime::tuple(std::vector<Value> items) {
  return {Kind::kTuple, list_object(std::move(items))};
}

Value Runtime::dict(Entries entries) {
  auto object = make<DictObject>(entries.size() * 3 * sizeof(Value));
  for (const auto& [key, value] : entries) {
    object->depth = std::max({object->depth, depth_of(key) + 1, depth_of(value) + 1});
  }
  check_depth(object->depth);
  object->entries = std::move(entries);
  return {Kind::kDict, object};
}

Value Runtime::undefined(std::string message) {
  auto object = make<UndefinedObject>(message.size());
  object->message = std::move(message);
  return {Kind::kUndefined, object};
}

void TextBuilder::grow(size_t more) {
  checked_ = (text_.size() + more) * 2;
  runtime_.require_room(text_.size() + more);
  runtime_.step_bytes(text_.size() + more);
}

void TextBuilder::repeat(std::string_view text, size_t count) {
  if (text.empty() || count == 0) return;
  if (count > kMostBytes / text.size()) runtime_.require_room(kMostBytes);
  grow(text.size() * count);
  for (; count > 0; --count) text_ += text;
}

}  // namespace elastikv::jinja
