#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/filters.h"
#include "jinja/value.h"

namespace elastikv::jinja {

/// Where a variable is kept: in the activation so many functions outward, at an index.
struct Slot {
  int hops = 0;
  int index = 0;
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

/// What stands between the parentheses of a call, a filter or a test.
struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional;  ///< behind *
  ExpressionPtr more_named;       ///< behind **
};

struct Expression {
  enum class Kind : uint8_t {
    kText,
    kConstant,
    kName,
    kTuple,
    kList,
    kDict,  // keys and values in turn
    kAttribute,
    kItem,
    kSlice,  // the value, then start, stop and step, each of which may be null
    kCall,
    kFilter,  // of parts[0], or of the text of a block when that is null
    kTest,
    kNot,
    kNegative,
    kPositive,
    kArithmetic,  // parts[0] symbols[0] parts[1] symbols[1] ..., from left to right
    kConcat,
    kCompare,
    kAnd,
    kOr,
    kCondition,  // parts[0] if parts[1] else parts[2], which may be null
  };
  Kind kind = Kind::kConstant;
  int line = 1;
  /// Of this expression and those in it.
  int depth = 1;
  /// kText's, or a name.
  std::string text;
  Value constant;
  Slot slot;
  std::vector<ExpressionPtr> parts;
  std::vector<std::string> symbols;
  CallArguments arguments;
  Filter filter = nullptr;
  Test test = nullptr;
};

/// What is assigned to.
struct Target {
  enum class Kind : uint8_t { kName, kAttribute, kTuple };
  Kind kind = Kind::kName;
  int line = 1;
  std::string name;
  std::string attribute;
  Slot slot;
  std::vector<Target> items;
};

/// What entering a scope does to a variable: looks it up among those of the rendering, copies it
/// from an outer scope, or leaves it without a value.
struct Load {
  enum class Kind : uint8_t { kResolve, kCopy, kNothing };
  Kind kind = Kind::kNothing;
  int index = 0;
  std::string name;
  Slot source;
};

/// The variables of a scope.
struct Scope {
  std::vector<Load> loads;
  /// Those without a value when it is left.
  std::vector<int> cleared;
};

struct Statement;
using Statements = std::vector<std::unique_ptr<Statement>>;

struct Parameter {
  std::string name;
  Slot slot;
  ExpressionPtr otherwise;
};

/// A macro, or the body of a call block.
struct Macro {
  std::string name;
  std::vector<Parameter> parameters;
  Statements body;
  Scope scope;
  int slots = 0;
  /// Whether its body speaks of them, and where they are kept.
  std::optional<int> caller;
  std::optional<int> named;
  std::optional<int> positional;
  bool explicit_caller = false;
};

struct Statement {
  enum class Kind : uint8_t {
    kOutput,
    kIf,
    kFor,
    kSet,
    kSetBlock,
    kMacro,
    kCallBlock,
    kGeneration,
    kFilterBlock,
    kWith,
    kScope,
    kBlock,
    kBreak,
    kContinue,
  };
  Kind kind = Kind::kOutput;
  int line = 1;
  /// kOutput: what is written, kText for the template's own. kSet: the value. kWith: the values.
  /// kCallBlock: the call. kIf: the tests. kFor: the sequence, and what its items are chosen by or
  /// null. kSetBlock and kFilterBlock: the filters or null.
  std::vector<ExpressionPtr> expressions;
  /// kSet, kSetBlock, kFor: one. kWith: one for each value.
  std::vector<Target> targets;
  /// kIf: one for each test, then that of else. kFor: the loop's, that of else. Others: one.
  std::vector<Statements> bodies;
  /// kFor: of the loop, of the choice, of else. Others: one.
  std::vector<Scope> scopes;
  /// kBlock's name.
  std::string name;
  /// kMacro, kCallBlock, kGeneration.
  std::unique_ptr<Macro> macro;
  Slot slot;  ///< kMacro: where it is kept
  /// kFor.
  bool recursive = false;
  bool has_else = false;
  std::optional<Slot> loop;  ///< where the variable `loop` is kept, when the body speaks of it
  Target choice_target;      ///< the target within the choice
  int choice_slots = 0;
  int body_slots = 0;  ///< of a recursive loop, or a block
  /// Whether blocks see what is assigned.
  bool exported = false;
};

/// A parsed template.
struct Program {
  std::string name;
  Statements body;
  Scope scope;
  int slots = 0;
  bool has_blocks = false;
  std::set<std::string> variables;
};

}  // namespace elastikv::jinja
