#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/runtime.h"
#include "jinja/syntax.h"

namespace elastikv::jinja {

/// The variables of one call of a macro, a recursive loop or a template.
class Activation final : public Changeable {
 public:
  Activation(int slots, Ref<Activation> parent)
      : slots_(static_cast<size_t>(slots), Value::missing()), parent_(std::move(parent)) {}
  void empty() override {
    slots_.assign(slots_.size(), Value::missing());
    parent_ = Ref<Activation>();
  }
  Value& at(const Slot& slot) {
    Activation* activation = this;
    for (int hops = slot.hops; hops > 0; --hops) activation = activation->parent_.get();
    return activation->slots_[static_cast<size_t>(slot.index)];
  }
  Value& own(int index) { return slots_[static_cast<size_t>(index)]; }

 private:
  std::vector<Value> slots_;
  Ref<Activation> parent_;
};

/// Runs a template once.
class Renderer final : public Runtime {
 public:
  Renderer(const Program& program, const Environment& environment)
      : Runtime(environment), program_(program) {}
  ~Renderer() override;

  /// The text for some variables (a dict). Errors name the place in the template.
  std::string run(const Value& variables);

  /// The text that a macro writes, called where `outer` are the variables around it.
  Value call_macro(const Macro& macro, const Ref<Activation>& outer, const Arguments& arguments);
  /// The text that a recursive loop writes for some items, `depth` calls inside itself.
  Value call_loop(const Statement& loop, const Ref<Activation>& outer, const Value& items,
                  int64_t depth);
  /// Whether the choice of a loop's items takes one, which becomes what the loop's target makes of
  /// it.
  bool chooses(const Statement& loop, const Ref<Activation>& outer, Value& item);

 private:
  enum class Signal : uint8_t { kNone, kBreak, kContinue };
  class Text;
  class Call;

  // Statements (renderer.cc).
  Signal execute(const Statements& statements, Text& out);
  Signal execute(const Statement& statement, Text& out);
  Signal execute_if(const Statement& statement, Text& out);
  Signal execute_for(const Statement& statement, Text& out);
  Signal execute_set_block(const Statement& statement);
  Signal execute_filter_block(const Statement& statement, Text& out);
  Signal execute_with(const Statement& statement, Text& out);
  Signal execute_scope(const Statement& statement, Text& out);
  void write_output(const Statement& statement, Text& out);
  void call_block(const Statement& statement, Text& out);
  void run_block(const Statement& statement, Text& out);
  Signal run_loop(const Statement& loop, const Ref<Activation>& outer, const Value& items,
                  int64_t depth, Text& out);
  void enter(const Scope& scope);
  void leave(const Scope& scope);
  void assign(const Target& target, const Value& value);
  void assign_attribute(const Target& target, const Value& value);
  void export_target(const Target& target);
  std::optional<Value> variable(const std::string& name);

  // Macros (macros.cc).
  Value macro_value(const Macro& macro);

  // Expressions (evaluation.cc).
  Value evaluate(const Expression& expression);
  Value evaluate_name(const Expression& expression);
  Value evaluate_dict(const Expression& expression);
  std::vector<Value> evaluate_parts(const Expression& expression);
  Value evaluate_item(const Expression& expression);
  Value evaluate_slice(const Expression& expression);
  Value evaluate_call(const Expression& expression, const Value* caller = nullptr);
  Value evaluate_filter(const Expression& expression, const Value* block_text = nullptr);
  Value evaluate_test(const Expression& expression);
  Value evaluate_arithmetic(const Expression& expression);
  Value evaluate_concat(const Expression& expression);
  Value evaluate_compare(const Expression& expression);
  Value evaluate_choice(const Expression& expression, bool stop_at);
  Value evaluate_condition(const Expression& expression);
  Arguments evaluate_arguments(const CallArguments& arguments);

  const Program& program_;
  Value variables_;
  Entries exported_;
  Ref<Activation> current_;
  int calls_ = 0;
  int line_ = 1;
};

}  // namespace elastikv::jinja
