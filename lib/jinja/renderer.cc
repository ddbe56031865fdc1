#include "jinja/renderer.h"

#include <functional>

#include "base/error.h"
#include "jinja/attributes.h"
#include "jinja/loop.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/renderer_call.h"

namespace elastikv::jinja {
namespace {

using StatementKind = Statement::Kind;

/// What a block is replaced by; jinja2 takes nothing but strings.
std::string block_text(const Value& value) {
  if (!value.is_string()) fail("expected str instance, {} found", type_name(value));
  return value.as<StringObject>().text();
}

/// The items that a loop's choice takes.
class ChoosingIterator final : public Iterator {
 public:
  ChoosingIterator(Renderer& renderer, const Statement& loop, Ref<Activation> outer,
                   Ref<Iterator> source)
      : renderer_(renderer), loop_(loop), outer_(std::move(outer)), source_(std::move(source)) {}
  bool next(Runtime& runtime, Value& item) override {
    const Runtime::Level level(runtime);
    while (source_->next(runtime, item)) {
      runtime.step();
      if (renderer_.chooses(loop_, outer_, item)) return true;
    }
    return false;
  }

 private:
  Renderer& renderer_;
  const Statement& loop_;
  Ref<Activation> outer_;
  Ref<Iterator> source_;
};

}  // namespace

Renderer::~Renderer() { empty_all(); }

std::string Renderer::run(const Value& variables) {
  variables_ = variables;
  Text out(*this);
  try {
    current_ = make_changeable<Activation>(program_.slots, Ref<Activation>());
    enter(program_.scope);
    execute(program_.body, out);
  } catch (const Raised&) {
    throw;
  } catch (const Error& error) {
    fail("{}:{}: {}", program_.name, line_, error.what());
  }
  return out.take();
}

std::optional<Value> Renderer::variable(const std::string& name) {
  if (const Value* value = exported_.find(name)) return *value;
  if (const Value* value = variables_.as<DictObject>().entries.find(name)) return *value;
  if (const Function function = find_function(name)) {
    auto object = make<FunctionObject>(0);
    object->name = name;
    object->function = function;
    return Value(Kind::kFunction, object);
  }
  return std::nullopt;
}

void Renderer::enter(const Scope& scope) {
  for (const Load& load : scope.loads) {
    step();
    Value& place = current_->own(load.index);
    switch (load.kind) {
      case Load::Kind::kResolve:
        place = variable(load.name).value_or(Value::missing());
        break;
      case Load::Kind::kCopy:
        place = Value(current_->at(load.source));
        break;
      case Load::Kind::kNothing:
        place = Value::missing();
        break;
    }
  }
}

void Renderer::leave(const Scope& scope) {
  for (const int index : scope.cleared) current_->own(index) = Value::missing();
}

Renderer::Signal Renderer::execute(const Statements& statements, Text& out) {
  for (const auto& statement : statements) {
    const Signal signal = execute(*statement, out);
    if (signal != Signal::kNone) return signal;
  }
  return Signal::kNone;
}

Renderer::Signal Renderer::execute(const Statement& statement, Text& out) {
  const Level level(*this);
  step();
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::kOutput:
      write_output(statement, out);
      return Signal::kNone;
    case StatementKind::kIf:
      return execute_if(statement, out);
    case StatementKind::kFor:
      return execute_for(statement, out);
    case StatementKind::kSet:
      for (const Target& target : statement.targets) {
        assign(target, evaluate(*statement.expressions[0]));
        if (statement.exported) export_target(target);
      }
      return Signal::kNone;
    case StatementKind::kSetBlock:
      return execute_set_block(statement);
    case StatementKind::kMacro:
      current_->at(statement.slot) = macro_value(*statement.macro);
      if (statement.exported) {
        exported_.set(*this, string(statement.macro->name), current_->at(statement.slot));
      }
      return Signal::kNone;
    case StatementKind::kCallBlock:
      call_block(statement, out);
      return Signal::kNone;
    case StatementKind::kGeneration:
      out.write(call_macro(*statement.macro, current_, {}).as<StringObject>().text());
      return Signal::kNone;
    case StatementKind::kFilterBlock:
      return execute_filter_block(statement, out);
    case StatementKind::kWith:
      return execute_with(statement, out);
    case StatementKind::kScope:
      return execute_scope(statement, out);
    case StatementKind::kBlock:
      run_block(statement, out);
      return Signal::kNone;
    case StatementKind::kBreak:
      return Signal::kBreak;
    case StatementKind::kContinue:
      return Signal::kContinue;
  }
  return Signal::kNone;
}

void Renderer::write_output(const Statement& statement, Text& out) {
  for (const ExpressionPtr& expression : statement.expressions) {
    if (expression->kind == Expression::Kind::kText) {
      step();
      line_ = expression->line;
      out.write(expression->text);
      continue;
    }
    const Value value = evaluate(*expression);
    line_ = expression->line;
    if (value.is_string()) {
      out.write(value.as<StringObject>().text());
    } else {
      out.write(to_text(*this, value));
    }
  }
}

Renderer::Signal Renderer::execute_if(const Statement& statement, Text& out) {
  for (size_t i = 0; i < statement.expressions.size(); ++i) {
    if (truth(evaluate(*statement.expressions[i]))) return execute(statement.bodies[i], out);
  }
  return execute(statement.bodies.back(), out);
}

Renderer::Signal Renderer::execute_for(const Statement& statement, Text& out) {
  const Value items = evaluate(*statement.expressions[0]);
  line_ = statement.line;
  if (statement.recursive) {
    out.write(call_loop(statement, current_, items, 0).as<StringObject>().text());
    return Signal::kNone;
  }
  return run_loop(statement, current_, items, 0, out);
}

Renderer::Signal Renderer::run_loop(const Statement& loop, const Ref<Activation>& outer,
                                    const Value& items, int64_t depth, Text& out) {
  Value chosen = items;
  Ref<Iterator> source = iterate(*this, items);
  if (loop.expressions[1] != nullptr) {
    source = Ref<Iterator>(make<ChoosingIterator>(0, *this, loop, outer, source).get());
    chosen = Value(Kind::kIterator, source);
  }
  const Statement* recursive = loop.recursive ? &loop : nullptr;
  const auto object = make_changeable<LoopObject>(*this, recursive, outer, chosen, source, depth);
  const Scope& scope = loop.scopes[0];
  bool finished_one = false;
  Value item;
  if (loop.loop) current_->at(*loop.loop) = Value::missing();
  while (object->advance(*this, item)) {
    step();
    line_ = loop.line;
    assign(loop.targets[0], item);
    if (loop.loop) current_->at(*loop.loop) = Value(Kind::kLoop, object);
    enter(scope);
    const Signal signal = execute(loop.bodies[0], out);
    if (signal == Signal::kBreak) break;
    if (signal == Signal::kNone) finished_one = true;
    item = Value::none();
  }
  leave(scope);
  line_ = loop.line;
  forget(*object);
  // As jinja2 has it: what an item is cut short by does not count as going through it.
  if (!loop.has_else || finished_one) return Signal::kNone;
  enter(loop.scopes[2]);
  const Signal signal = execute(loop.bodies[1], out);
  leave(loop.scopes[2]);
  return signal;
}

Value Renderer::call_loop(const Statement& loop, const Ref<Activation>& outer, const Value& items,
                          int64_t depth) {
  const Level level(*this);
  if (++calls_ > environment().limits.depth) {
    fail("calls are nested deeper than {} levels", environment().limits.depth);
  }
  Text text(*this);
  Call call(*this, make_changeable<Activation>(loop.body_slots, outer));
  run_loop(loop, outer, items, depth, text);
  --calls_;
  call.done();
  return string(text.take());
}

bool Renderer::chooses(const Statement& loop, const Ref<Activation>& outer, Value& item) {
  Call call(*this, make_changeable<Activation>(loop.choice_slots, outer));
  enter(loop.scopes[1]);
  assign(loop.choice_target, item);
  const bool chosen = truth(evaluate(*loop.expressions[1]));
  if (chosen && loop.choice_target.kind == Target::Kind::kTuple) {
    const std::function<Value(const Target&)> read = [&](const Target& target) {
      if (target.kind != Target::Kind::kTuple) return Value(current_->at(target.slot));
      std::vector<Value> items;
      for (const Target& one : target.items) items.push_back(read(one));
      return tuple(std::move(items));
    };
    item = read(loop.choice_target);
  }
  call.done();
  return chosen;
}

Renderer::Signal Renderer::execute_set_block(const Statement& statement) {
  Text text(*this);
  enter(statement.scopes[0]);
  const Signal signal = execute(statement.bodies[0], text);
  if (signal != Signal::kNone) return signal;
  Value value = string(text.take());
  if (statement.expressions[0] != nullptr) {
    value = evaluate_filter(*statement.expressions[0], &value);
  }
  line_ = statement.line;
  assign(statement.targets[0], value);
  leave(statement.scopes[0]);
  if (statement.exported) export_target(statement.targets[0]);
  return Signal::kNone;
}

Renderer::Signal Renderer::execute_filter_block(const Statement& statement, Text& out) {
  Text text(*this);
  enter(statement.scopes[0]);
  const Signal signal = execute(statement.bodies[0], text);
  if (signal != Signal::kNone) return signal;
  const Value block = string(text.take());
  out.write(block_text(evaluate_filter(*statement.expressions[0], &block)));
  leave(statement.scopes[0]);
  return Signal::kNone;
}

Renderer::Signal Renderer::execute_with(const Statement& statement, Text& out) {
  enter(statement.scopes[0]);
  for (size_t i = 0; i < statement.targets.size(); ++i) {
    assign(statement.targets[i], evaluate(*statement.expressions[i]));
  }
  const Signal signal = execute(statement.bodies[0], out);
  leave(statement.scopes[0]);
  return signal;
}

Renderer::Signal Renderer::execute_scope(const Statement& statement, Text& out) {
  enter(statement.scopes[0]);
  const Signal signal = execute(statement.bodies[0], out);
  leave(statement.scopes[0]);
  return signal;
}

void Renderer::run_block(const Statement& statement, Text& out) {
  Call call(*this, make_changeable<Activation>(statement.body_slots, Ref<Activation>()));
  enter(statement.scopes[0]);
  execute(statement.bodies[0], out);
  call.done();
}

void Renderer::assign(const Target& target, const Value& value) {
  switch (target.kind) {
    case Target::Kind::kName:
      current_->at(target.slot) = value;
      return;
    case Target::Kind::kAttribute:
      assign_attribute(target, value);
      return;
    case Target::Kind::kTuple:
      break;
  }
  const auto source = iterator_of(*this, value);
  if (!source) fail("cannot unpack non-iterable {} object", type_name(value));
  // Like Python, no more is taken than tells that there are too many.
  std::vector<Value> items;
  Value item;
  while (items.size() <= target.items.size() && (*source)->next(*this, item)) {
    items.push_back(std::move(item));
  }
  if (items.size() > target.items.size()) {
    fail("too many values to unpack (expected {})", target.items.size());
  }
  if (items.size() < target.items.size()) {
    fail("not enough values to unpack (expected {}, got {})", target.items.size(), items.size());
  }
  for (size_t i = 0; i < items.size(); ++i) assign(target.items[i], items[i]);
}

void Renderer::assign_attribute(const Target& target, const Value& value) {
  const Value space = current_->at(target.slot);
  if (!space.is(Kind::kNamespace)) fail("cannot assign attribute on non-namespace object");
  step();
  space.as_mutable<NamespaceObject>().entries.set(*this, string(target.attribute), value);
}

void Renderer::export_target(const Target& target) {
  if (target.kind == Target::Kind::kName) {
    exported_.set(*this, string(target.name), current_->at(target.slot));
  }
  for (const Target& item : target.items) export_target(item);
}

void Renderer::call_block(const Statement& statement, Text& out) {
  const Value caller = macro_value(*statement.macro);
  out.write(block_text(evaluate_call(*statement.expressions[0], &caller)));
}

}  // namespace elastikv::jinja
