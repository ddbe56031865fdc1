// The filters that go through a sequence with another filter or a test: map, select, reject,
// selectattr, rejectattr. Each gives its items one by one, when they are asked for.

#include "jinja/attributes.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace elastikv::jinja {
namespace {

/// Of a generator's input; nothing when it is false, which then is not gone through.
class InputIterator : public Iterator {
 public:
  explicit InputIterator(Value input) : input_(std::move(input)) {}

 protected:
  bool next_input(Runtime& runtime, Value& item) {
    runtime.step();
    if (!source_) {
      if (!truth(input_)) return false;
      start(runtime);
      source_ = iterate(runtime, input_);
    }
    return source_->next(runtime, item);
  }
  /// Looks at the arguments, which Python does when the first item is asked for.
  virtual void start(Runtime& runtime) = 0;

 private:
  Value input_;
  Ref<Iterator> source_;
};

/// A text that names a filter or a test.
std::string name_of(const Value& value) {
  if (!value.is_string()) fail("the name of a filter or a test is a str, not {}", type_name(value));
  return value.as<StringObject>().text();
}

class MapIterator final : public InputIterator {
 public:
  MapIterator(Value input, Arguments arguments)
      : InputIterator(std::move(input)), arguments_(std::move(arguments)) {}

  bool next(Runtime& runtime, Value& item) override {
    const Runtime::Level level(runtime);
    Value input;
    if (!next_input(runtime, input)) return false;
    if (path_) {
      item = path_->of(runtime, input);
    } else {
      Arguments arguments = arguments_;
      item = apply_filter(runtime, name_, input, arguments);
    }
    return true;
  }

 private:
  void start(Runtime& runtime) override {
    std::optional<Value> attribute;
    std::optional<Value> otherwise;
    for (const auto& [name, value] : arguments_.named) {
      if (name == "attribute") attribute = value;
      if (name == "default" && !value.is_none()) otherwise = value;
    }
    if (arguments_.positional.empty() && attribute) {
      for (const auto& [name, value] : arguments_.named) {
        if (name != "attribute" && name != "default") {
          fail("Unexpected keyword argument {}", repr_text(name));
        }
      }
      path_.emplace(runtime, attribute->is_none() ? std::nullopt : attribute);
      path_->set_default(otherwise);
      return;
    }
    if (arguments_.positional.empty()) fail("map requires a filter argument");
    name_ = name_of(arguments_.positional[0]);
    arguments_.positional.erase(arguments_.positional.begin());
  }

  Arguments arguments_;
  std::optional<AttributePath> path_;
  std::string name_;
};

class SelectIterator final : public InputIterator {
 public:
  SelectIterator(Value input, Arguments arguments, bool wanted, bool by_attribute)
      : InputIterator(std::move(input)),
        arguments_(std::move(arguments)),
        wanted_(wanted),
        by_attribute_(by_attribute) {}

  bool next(Runtime& runtime, Value& item) override {
    const Runtime::Level level(runtime);
    while (next_input(runtime, item)) {
      const Value tested = path_ ? path_->of(runtime, item) : item;
      Arguments arguments = arguments_;
      const bool holds = name_ ? apply_test(runtime, *name_, tested, arguments) : truth(tested);
      if (holds == wanted_) return true;
    }
    return false;
  }

 private:
  void start(Runtime& runtime) override {
    auto& given = arguments_.positional;
    if (by_attribute_) {
      if (given.empty()) fail("Missing parameter for attribute name");
      path_.emplace(runtime, given[0].is_none() ? std::nullopt : std::optional(given[0]));
      given.erase(given.begin());
    }
    if (!given.empty()) {
      name_ = name_of(given[0]);
      given.erase(given.begin());
    }
  }

  Arguments arguments_;
  bool wanted_;
  bool by_attribute_;
  std::optional<AttributePath> path_;
  std::optional<std::string> name_;
};

Value map_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  return {Kind::kIterator, runtime.make<MapIterator>(256, input, std::move(arguments))};
}

template <bool wanted, bool by_attribute>
Value select_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  return {Kind::kIterator,
          runtime.make<SelectIterator>(256, input, std::move(arguments), wanted, by_attribute)};
}

}  // namespace

const Named<Filter>& choosing_filters() {
  static const Named<Filter> filters{
      {"map", map_filter},
      {"select", select_filter<true, false>},
      {"reject", select_filter<false, false>},
      {"selectattr", select_filter<true, true>},
      {"rejectattr", select_filter<false, true>},
  };
  return filters;
}

}  // namespace elastikv::jinja
