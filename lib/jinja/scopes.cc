#include "jinja/scopes.h"

#include <algorithm>
#include <iterator>

#include "jinja/lexer.h"
#include "jinja/names.h"
#include "jinja/python_text.h"
#include "jinja/symbols.h"

namespace elastikv::jinja {
namespace {

using StatementKind = Statement::Kind;
using ExpressionKind = Expression::Kind;

class Resolver {
 public:
  explicit Resolver(Program& program) : program_(program) {}

  void run() {
    FunctionScope function;
    Symbols symbols(function, nullptr);
    if (UndeclaredNames({"self"}).in(program_.body).has("self")) {
      fail_at(program_.name, 1, "'self', a template's blocks, is not supported");
    }
    declare(program_.body, symbols);
    Frame frame{symbols, /*toplevel=*/true};
    resolve(program_.body, frame);
    program_.scope = symbols.scope(program_.variables);
    program_.slots = static_cast<int>(function.slots.size());
    for (auto it = program_.variables.begin(); it != program_.variables.end();) {
      const bool is_jinjas =
          find_function(*it) != nullptr && *it != "raise_exception" && *it != "strftime_now";
      it = is_jinjas ? program_.variables.erase(it) : std::next(it);
    }
  }

 private:
  struct Frame {
    Symbols& symbols;
    bool toplevel = false;
    /// In a branch, where an unknown filter is an error only once it is used.
    bool soft = false;
  };

  // What a scope's statements do with names, without those of scopes within.

  static void declare(const Expression* expression, Symbols& symbols) {
    for_each_expression(expression, [&](const Expression& one) {
      if (one.kind == ExpressionKind::kName) symbols.load(one.text);
    });
  }

  static void declare(const Target& target, Symbols& symbols, bool given = false) {
    for_each_name(target, [&](const Target& one) {
      if (one.kind == Target::Kind::kAttribute) {
        symbols.load(one.name);
      } else if (given) {
        symbols.declare(one.name);
      } else {
        symbols.store(one.name);
      }
    });
  }

  static void declare(const Statements& statements, Symbols& symbols) {
    for (const auto& statement : statements) declare(*statement, symbols);
  }

  static void declare(const Statement& statement, Symbols& symbols) {
    switch (statement.kind) {
      case StatementKind::kIf: {
        declare(statement.expressions[0].get(), symbols);
        const size_t mark = symbols.mark();
        for (size_t i = 0; i < statement.bodies.size(); ++i) {
          if (i > 0 && i < statement.expressions.size()) {
            declare(statement.expressions[i].get(), symbols);
          }
          declare(statement.bodies[i], symbols);
        }
        symbols.join_branches(mark);
        return;
      }
      case StatementKind::kFor:
        declare(statement.expressions[0].get(), symbols);
        return;
      case StatementKind::kMacro:
        symbols.store(statement.macro->name);
        return;
      case StatementKind::kSetBlock:
        declare(statement.targets[0], symbols);
        return;
      case StatementKind::kBlock:
      case StatementKind::kScope:
        return;
      default:
        for (const ExpressionPtr& expression : statement.expressions) {
          declare(expression.get(), symbols);
        }
        if (statement.kind == StatementKind::kSet) declare(statement.targets[0], symbols);
    }
  }

  // Where they are kept.

  void resolve(Expression* expression, const Frame& frame, bool soft = false) {
    if (expression == nullptr) return;
    soft = soft || frame.soft;
    const auto inner_soft = [&] { return soft || expression->kind == ExpressionKind::kCondition; };
    if (expression->kind == ExpressionKind::kName) {
      expression->slot = slot_of(expression->text, expression->line, frame.symbols);
    }
    const bool unknown_filter =
        expression->kind == ExpressionKind::kFilter && expression->filter == nullptr;
    const bool unknown_test =
        expression->kind == ExpressionKind::kTest && expression->test == nullptr;
    if ((unknown_filter || unknown_test) && !soft) {
      fail_at(program_.name, expression->line,
              fmt::format("No {} named {}.", unknown_filter ? "filter" : "test",
                          repr_text(expression->text)));
    }
    for (const ExpressionPtr& part : expression->parts) resolve(part.get(), frame, inner_soft());
    CallArguments& arguments = expression->arguments;
    for (const ExpressionPtr& part : arguments.positional) resolve(part.get(), frame, inner_soft());
    for (const auto& [name, part] : arguments.named) resolve(part.get(), frame, inner_soft());
    resolve(arguments.more_positional.get(), frame, inner_soft());
    resolve(arguments.more_named.get(), frame, inner_soft());
  }

  Slot slot_of(const std::string& name, int line, const Symbols& symbols) const {
    const Reference* reference = symbols.find(name);
    if (reference == nullptr) {
      fail_at(program_.name, line,
              fmt::format("jinja2 does not find the variable {} here", repr_text(name)));
    }
    return symbols.slot(*reference);
  }

  void resolve(Target& target, const Symbols& symbols) const {
    if (target.kind != Target::Kind::kTuple) {
      target.slot = slot_of(target.name, target.line, symbols);
    }
    for (Target& item : target.items) resolve(item, symbols);
  }

  void resolve(Statements& statements, const Frame& frame) {
    for (const auto& statement : statements) resolve(*statement, frame);
  }

  void resolve_expressions(Statement& statement, const Frame& frame) {
    for (const ExpressionPtr& expression : statement.expressions) resolve(expression.get(), frame);
  }

  void resolve(Statement& statement, const Frame& frame) {
    statement.exported = frame.toplevel && program_.has_blocks;
    switch (statement.kind) {
      case StatementKind::kOutput:
        resolve_expressions(statement, frame);
        return;
      case StatementKind::kIf: {
        const Frame branch{frame.symbols, frame.toplevel, /*soft=*/true};
        resolve_expressions(statement, branch);
        for (Statements& body : statement.bodies) resolve(body, branch);
        return;
      }
      case StatementKind::kFor:
        resolve_for(statement, frame);
        return;
      case StatementKind::kSet:
        resolve_expressions(statement, frame);
        resolve(statement.targets[0], frame.symbols);
        return;
      case StatementKind::kSetBlock:
      case StatementKind::kFilterBlock:
      case StatementKind::kScope:
        resolve_inner(statement, frame);
        return;
      case StatementKind::kWith: {
        Symbols inner(frame.symbols.function(), &frame.symbols);
        for (const Target& target : statement.targets) declare(target, inner, /*given=*/true);
        declare(statement.bodies[0], inner);
        resolve_expressions(statement, frame);
        for (Target& target : statement.targets) resolve(target, inner);
        resolve(statement.bodies[0], Frame{inner});
        statement.scopes[0] = inner.scope(program_.variables);
        return;
      }
      case StatementKind::kMacro:
        resolve_macro(*statement.macro, frame, statement.line);
        statement.slot = slot_of(statement.macro->name, statement.line, frame.symbols);
        return;
      case StatementKind::kCallBlock:
      case StatementKind::kGeneration:
        resolve_macro(*statement.macro, frame, statement.line);
        resolve_expressions(statement, frame);
        return;
      case StatementKind::kBlock: {
        // A block sees the variables of the rendering and of the template's top, and no others.
        FunctionScope function;
        Symbols symbols(function, nullptr);
        UndeclaredNames names({"self", "super"});
        names.in(statement.bodies[0]);
        if (names.has("self") || names.has("super")) {
          fail_at(program_.name, statement.line, "'self' and 'super' are not supported");
        }
        declare(statement.bodies[0], symbols);
        resolve(statement.bodies[0], Frame{symbols});
        statement.scopes[0] = symbols.scope(program_.variables);
        statement.body_slots = static_cast<int>(function.slots.size());
        return;
      }
      case StatementKind::kBreak:
      case StatementKind::kContinue:
        if (frame.symbols.function().loops == 0) {
          fail_at(program_.name, statement.line,
                  statement.kind == StatementKind::kBreak ? "'break' outside loop"
                                                          : "'continue' not properly in loop");
        }
        return;
    }
  }

  /// A body with a scope of its own, and the filters of its text.
  void resolve_inner(Statement& statement, const Frame& frame) {
    Symbols inner(frame.symbols.function(), &frame.symbols);
    declare(statement.bodies[0], inner);
    // jinja2 does not look for the names in the filters of a set block.
    if (statement.kind == StatementKind::kFilterBlock)
      declare(statement.expressions[0].get(), inner);
    const Frame inner_frame{inner};
    resolve(statement.bodies[0], inner_frame);
    resolve_expressions(statement, inner_frame);
    for (Target& target : statement.targets) resolve(target, frame.symbols);
    statement.scopes[0] = inner.scope(program_.variables);
  }

  void resolve_for(Statement& statement, const Frame& frame) {
    require_no_loop_target(statement);
    FunctionScope& outer = frame.symbols.function();
    FunctionScope own;
    own.depth = outer.depth + 1;
    FunctionScope& function = statement.recursive ? own : outer;
    Symbols loop(function, &frame.symbols);
    const bool extended =
        statement.recursive || UndeclaredNames({"loop"}).in(statement.bodies[0]).has("loop");
    if (extended) statement.loop = loop.slot(loop.declare("loop"));
    declare(statement.targets[0], loop, /*given=*/true);
    declare(statement.bodies[0], loop);
    Symbols otherwise(function, &frame.symbols);
    declare(statement.bodies[1], otherwise);

    resolve(statement.expressions[0].get(), frame);
    if (statement.expressions[1] != nullptr) resolve_choice(statement, frame);
    resolve(statement.targets[0], loop);
    ++function.loops;
    resolve(statement.bodies[0], Frame{loop});
    --function.loops;
    resolve(statement.bodies[1], Frame{otherwise});
    statement.scopes[0] = loop.scope(program_.variables);
    statement.scopes[2] = otherwise.scope(program_.variables);
    statement.body_slots = static_cast<int>(own.slots.size());
  }

  /// The choice of a loop's items is a function of its own, which does not see the loop.
  void resolve_choice(Statement& statement, const Frame& frame) {
    FunctionScope function;
    function.depth = frame.symbols.function().depth + 1;
    Symbols choice(function, &frame.symbols);
    declare(statement.choice_target, choice, /*given=*/true);
    declare(statement.expressions[1].get(), choice);
    resolve(statement.choice_target, choice);
    resolve(statement.expressions[1].get(), Frame{choice});
    statement.scopes[1] = choice.scope(program_.variables);
    statement.choice_slots = static_cast<int>(function.slots.size());
  }

  void require_no_loop_target(const Statement& statement) const {
    const auto check = [&](const Target& target) {
      for_each_name(target, [&](const Target& one) {
        if (one.kind == Target::Kind::kName && one.name == "loop") {
          fail_at(program_.name, one.line,
                  "Can't assign to special loop variable in for-loop target");
        }
      });
    };
    for (const Target& target : statement.targets) {
      if (statement.kind != StatementKind::kWith) check(target);
    }
    for (const Statements& body : statement.bodies) {
      for (const auto& inner : body) require_no_loop_target(*inner);
    }
    if (statement.macro != nullptr) {
      for (const auto& inner : statement.macro->body) require_no_loop_target(*inner);
    }
  }

  void resolve_macro(Macro& macro, const Frame& frame, int line) {
    FunctionScope function;
    function.depth = frame.symbols.function().depth + 1;
    Symbols symbols(function, &frame.symbols);
    const auto declare_all = [&] {
      for (const Parameter& parameter : macro.parameters) symbols.declare(parameter.name);
      for (const Parameter& parameter : macro.parameters) {
        declare(parameter.otherwise.get(), symbols);
      }
      declare(macro.body, symbols);
    };
    declare_all();
    const UndeclaredNames names = UndeclaredNames({"caller", "kwargs", "varargs"}).in(macro.body);
    const auto parameter_of = [&](std::string_view name) {
      return std::find_if(macro.parameters.begin(), macro.parameters.end(),
                          [&](const Parameter& one) { return one.name == name; });
    };
    const auto own_caller = parameter_of("caller");
    macro.explicit_caller = own_caller != macro.parameters.end();
    if (names.has("caller")) {
      if (!macro.explicit_caller) {
        macro.caller = symbols.declare("caller").index;
      } else if (own_caller->otherwise == nullptr) {
        fail_at(program_.name, line,
                "When defining macros or call blocks the special \"caller\" argument must be "
                "omitted or be given a default.");
      }
    }
    if (names.has("kwargs") && parameter_of("kwargs") == macro.parameters.end()) {
      macro.named = symbols.declare("kwargs").index;
    }
    if (names.has("varargs") && parameter_of("varargs") == macro.parameters.end()) {
      macro.positional = symbols.declare("varargs").index;
    }
    declare_all();
    const Frame inner{symbols};
    for (Parameter& parameter : macro.parameters) {
      parameter.slot = slot_of(parameter.name, line, symbols);
      resolve(parameter.otherwise.get(), inner);
    }
    resolve(macro.body, inner);
    macro.scope = symbols.scope(program_.variables);
    macro.slots = static_cast<int>(function.slots.size());
  }

  Program& program_;
};

}  // namespace

void resolve_scopes(Program& program) { Resolver(program).run(); }

}  // namespace elastikv::jinja
