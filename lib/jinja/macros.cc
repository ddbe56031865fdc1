// The macros of a template: what they are as values, and what a call of one writes.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "jinja/python_text.h"
#include "jinja/renderer.h"
#include "jinja/renderer_call.h"

namespace elastikv::jinja {
namespace {

class MacroObject final : public Callable {
 public:
  MacroObject(Renderer& renderer, const Macro& macro, Ref<Activation> outer)
      : renderer_(renderer), macro_(macro), outer_(std::move(outer)) {}

  Value call(Runtime& /*runtime*/, Arguments& arguments) override {
    return renderer_.call_macro(macro_, outer_, arguments);
  }
  std::optional<Value> attribute(Runtime& runtime, std::string_view name) override {
    if (name == "name") return macro_.name.empty() ? Value::none() : runtime.string(macro_.name);
    if (name == "arguments") {
      std::vector<Value> names;
      for (const Parameter& parameter : macro_.parameters) {
        names.push_back(runtime.string(parameter.name));
      }
      return runtime.tuple(std::move(names));
    }
    if (name == "catch_kwargs") return Value::boolean(macro_.named.has_value());
    if (name == "catch_varargs") return Value::boolean(macro_.positional.has_value());
    if (name == "caller") return Value::boolean(macro_.caller.has_value());
    if (name == "explicit_caller") return Value::boolean(macro_.explicit_caller);
    return std::nullopt;
  }
  std::string text() const override {
    return macro_.name.empty() ? "<Macro anonymous>"
                               : fmt::format("<Macro {}>", repr_text(macro_.name));
  }
  void empty() override { outer_ = Ref<Activation>(); }

 private:
  Renderer& renderer_;
  const Macro& macro_;
  Ref<Activation> outer_;
};

}  // namespace

Value Renderer::macro_value(const Macro& macro) {
  return {Kind::kMacro, make_changeable<MacroObject>(*this, macro, current_)};
}

Value Renderer::call_macro(const Macro& macro, const Ref<Activation>& outer,
                           const Arguments& arguments) {
  const Level level(*this);
  if (++calls_ > environment().limits.depth) {
    fail("calls are nested deeper than {} levels", environment().limits.depth);
  }
  Ref<Activation> activation = make_changeable<Activation>(macro.slots, outer);
  std::vector<std::pair<std::string, Value>> named = arguments.named;
  const auto take = [&](std::string_view name) -> std::optional<Value> {
    for (auto it = named.begin(); it != named.end(); ++it) {
      if (it->first != name) continue;
      Value value = std::move(it->second);
      named.erase(it);
      return value;
    }
    return std::nullopt;
  };
  const size_t count = macro.parameters.size();
  const auto& given = arguments.positional;
  for (size_t i = 0; i < count; ++i) {
    Value& place = activation->own(macro.parameters[i].slot.index);
    place = i < given.size() ? given[i] : take(macro.parameters[i].name).value_or(Value::missing());
  }
  if (macro.caller) {
    const std::optional<Value> caller = take("caller");
    activation->own(*macro.caller) =
        caller && !caller->is_none() ? *caller : undefined("No caller defined");
  }
  const std::string name = macro.name.empty() ? "None" : repr_text(macro.name);
  if (!macro.named && !named.empty()) {
    if (named[0].first == "caller") {
      fail(
          "macro {} was invoked with two values for the special caller argument. This is most "
          "likely a bug.",
          name);
    }
    fail("macro {} takes no keyword argument {}", name, repr_text(named[0].first));
  }
  if (!macro.positional && given.size() > count) {
    fail("macro {} takes not more than {} argument(s)", name, count);
  }
  if (macro.named) {
    Entries entries;
    for (auto& [key, value] : named) entries.set(*this, string(key), std::move(value));
    activation->own(*macro.named) = dict(std::move(entries));
  }
  if (macro.positional) {
    std::vector<Value> rest;
    for (size_t i = count; i < given.size(); ++i) rest.push_back(given[i]);
    activation->own(*macro.positional) = tuple(std::move(rest));
  }
  Text text(*this);
  Call call(*this, std::move(activation));
  enter(macro.scope);
  for (const Parameter& parameter : macro.parameters) {
    if (!current_->at(parameter.slot).is(Kind::kMissing)) continue;
    Value value =
        parameter.otherwise != nullptr
            ? evaluate(*parameter.otherwise)
            : undefined(fmt::format("parameter {} was not provided", repr_text(parameter.name)));
    current_->at(parameter.slot) = std::move(value);
  }
  execute(macro.body, text);
  --calls_;
  call.done();
  return string(text.take());
}

}  // namespace elastikv::jinja
