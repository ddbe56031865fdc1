#include "jinja/loop.h"

#include "jinja/arguments.h"
#include "jinja/operators.h"

namespace elastikv::jinja {
namespace {

LoopObject& loop_of(const Value& self) { return self.as_mutable<LoopObject>(); }

Value cycle(Runtime& /*runtime*/, const Value& self, Arguments& arguments) {
  if (!arguments.named.empty()) fail("cycle() takes no keyword arguments");
  const auto& items = arguments.positional;
  if (items.empty()) fail("no items for cycling given");
  return items[static_cast<size_t>(loop_of(self).index()) % items.size()];
}

Value changed_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  if (!arguments.named.empty()) fail("changed() takes no keyword arguments");
  return Value::boolean(loop_of(self).changed(runtime, arguments.positional));
}

}  // namespace

bool LoopObject::advance(Runtime& runtime, Value& item) {
  if (next_) {
    item = std::move(*next_);
    next_.reset();
  } else if (!source_->next(runtime, item)) {
    return false;
  }
  ++index_;
  previous_ = std::move(current_);
  current_ = item;
  return true;
}

const std::optional<Value>& LoopObject::peek(Runtime& runtime) {
  if (!next_) {
    Value item;
    if (source_->next(runtime, item)) next_ = std::move(item);
  }
  return next_;
}

int64_t LoopObject::length(Runtime& runtime) {
  if (length_) return *length_;
  length_ = length_of(items_);
  if (!length_) {
    // Of what has no length, the rest is gone through at once.
    std::vector<Value> rest = items_of(runtime, Value(Kind::kIterator, source_));
    length_ = static_cast<int64_t>(rest.size()) + index_ + 1 + (next_ ? 1 : 0);
    source_ = iterate(runtime, iterator_over(runtime, std::move(rest)));
  }
  return *length_;
}

bool LoopObject::changed(Runtime& runtime, const std::vector<Value>& values) {
  if (last_changed_ && last_changed_->size() == values.size()) {
    bool same = true;
    for (size_t i = 0; same && i < values.size(); ++i) {
      same = equal(runtime, (*last_changed_)[i], values[i]);
    }
    if (same) return false;
  }
  last_changed_ = values;
  return true;
}

Value LoopObject::call(Runtime& /*runtime*/, Arguments& arguments) {
  const Bound bound("loop", arguments, {"iterable"}, 1);
  if (recursive_ == nullptr) {
    fail("The loop must have the 'recursive' marker to be called recursively.");
  }
  return renderer_.call_loop(*recursive_, outer_, bound[0], depth_ + 1);
}

std::optional<Value> LoopObject::attribute(Runtime& runtime, std::string_view name) {
  const auto method = [&](std::string_view method_name, MethodObject::Method function) {
    auto object = runtime.make<MethodObject>(0);
    object->name = method_name;
    object->method = function;
    object->self = Value(Kind::kLoop, this);
    return Value(Kind::kMethod, object);
  };
  if (name == "index") return Value::integer(index_ + 1);
  if (name == "index0") return Value::integer(index_);
  if (name == "first") return Value::boolean(index_ == 0);
  if (name == "last") return Value::boolean(!peek(runtime));
  if (name == "length") return Value::integer(length(runtime));
  if (name == "revindex") return Value::integer(length(runtime) - index_);
  if (name == "revindex0") return Value::integer(length(runtime) - index_ - 1);
  if (name == "depth") return Value::integer(depth_ + 1);
  if (name == "depth0") return Value::integer(depth_);
  if (name == "cycle") return method("cycle", cycle);
  if (name == "changed") return method("changed", changed_method);
  if (name == "previtem") {
    if (index_ == 0 || !previous_) return runtime.undefined("there is no previous item");
    return *previous_;
  }
  if (name == "nextitem") {
    const auto& item = peek(runtime);
    return item ? *item : runtime.undefined("there is no next item");
  }
  return std::nullopt;
}

std::string LoopObject::text() const {
  // Python's would count the items that are left.
  const auto count = length_ ? length_ : length_of(items_);
  if (!count) fail("the text of a loop over a generator is not supported");
  return fmt::format("<LoopContext {}/{}>", index_ + 1, *count);
}

void LoopObject::empty() {
  items_ = Value::none();
  outer_ = Ref<Activation>();
  previous_.reset();
  current_.reset();
  next_.reset();
  last_changed_.reset();
  source_ = Ref<Iterator>();
}

}  // namespace elastikv::jinja
