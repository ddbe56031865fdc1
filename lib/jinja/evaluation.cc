// The expressions of a template.

#include "jinja/arguments.h"
#include "jinja/attributes.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/renderer.h"

namespace elastikv::jinja {

using ExpressionKind = Expression::Kind;

Value Renderer::evaluate(const Expression& expression) {
  const Level level(*this);
  step();
  line_ = expression.line;
  switch (expression.kind) {
    case ExpressionKind::kText:
      return string(expression.text);
    case ExpressionKind::kConstant:
      return expression.constant;
    case ExpressionKind::kName:
      return evaluate_name(expression);
    case ExpressionKind::kTuple:
      return tuple(evaluate_parts(expression));
    case ExpressionKind::kList:
      return list(evaluate_parts(expression));
    case ExpressionKind::kDict:
      return evaluate_dict(expression);
    case ExpressionKind::kAttribute: {
      const Value value = evaluate(*expression.parts[0]);
      line_ = expression.line;
      return get_attribute(*this, value, expression.text);
    }
    case ExpressionKind::kItem:
      return evaluate_item(expression);
    case ExpressionKind::kSlice:
      return evaluate_slice(expression);
    case ExpressionKind::kCall:
      return evaluate_call(expression);
    case ExpressionKind::kFilter:
      return evaluate_filter(expression);
    case ExpressionKind::kTest:
      return evaluate_test(expression);
    case ExpressionKind::kNot:
      return Value::boolean(!truth(evaluate(*expression.parts[0])));
    case ExpressionKind::kNegative:
      return negative(evaluate(*expression.parts[0]));
    case ExpressionKind::kPositive:
      return positive(evaluate(*expression.parts[0]));
    case ExpressionKind::kArithmetic:
      return evaluate_arithmetic(expression);
    case ExpressionKind::kConcat:
      return evaluate_concat(expression);
    case ExpressionKind::kCompare:
      return evaluate_compare(expression);
    case ExpressionKind::kAnd:
      return evaluate_choice(expression, /*stop_at=*/false);
    case ExpressionKind::kOr:
      return evaluate_choice(expression, /*stop_at=*/true);
    case ExpressionKind::kCondition:
      return evaluate_condition(expression);
  }
  return Value::none();
}

Value Renderer::evaluate_name(const Expression& expression) {
  const Value& value = current_->at(expression.slot);
  if (!value.is(Kind::kMissing)) return value;
  return undefined(repr_text(expression.text) + " is undefined");
}

std::vector<Value> Renderer::evaluate_parts(const Expression& expression) {
  std::vector<Value> values;
  values.reserve(expression.parts.size());
  for (const ExpressionPtr& part : expression.parts) values.push_back(evaluate(*part));
  line_ = expression.line;
  return values;
}

Value Renderer::evaluate_dict(const Expression& expression) {
  const std::vector<Value> parts = evaluate_parts(expression);
  Entries entries;
  for (size_t i = 0; i < parts.size(); i += 2) entries.set(*this, parts[i], parts[i + 1]);
  return dict(std::move(entries));
}

Value Renderer::evaluate_item(const Expression& expression) {
  const Value value = evaluate(*expression.parts[0]);
  const Value key = evaluate(*expression.parts[1]);
  line_ = expression.line;
  return get_item(*this, value, key);
}

Value Renderer::evaluate_slice(const Expression& expression) {
  const auto part = [&](size_t index) {
    return expression.parts[index] == nullptr ? Value::none() : evaluate(*expression.parts[index]);
  };
  const Value value = part(0);
  const Value start = part(1);
  const Value stop = part(2);
  const Value step = part(3);
  line_ = expression.line;
  return slice(*this, value, start, stop, step);
}

Arguments Renderer::evaluate_arguments(const CallArguments& given) {
  Arguments arguments;
  for (const ExpressionPtr& part : given.positional) {
    arguments.positional.push_back(evaluate(*part));
  }
  const auto put_named = [&](const std::string& name, Value value) {
    for (const auto& [known, other] : arguments.named) {
      if (known == name) fail("got multiple values for keyword argument {}", repr_text(name));
    }
    arguments.named.emplace_back(name, std::move(value));
  };
  for (const auto& [name, part] : given.named) put_named(name, evaluate(*part));
  if (given.more_positional != nullptr) {
    for (Value& value : items_of(*this, evaluate(*given.more_positional))) {
      arguments.positional.push_back(std::move(value));
    }
  }
  if (given.more_named != nullptr) {
    const Value more = evaluate(*given.more_named);
    require_defined(more);
    if (!more.is(Kind::kDict)) fail("argument after ** must be a mapping, not {}", type_name(more));
    for (const auto& [key, value] : more.as<DictObject>().entries) {
      if (!key.is_string()) fail("keywords must be strings");
      put_named(key.as<StringObject>().text(), value);
    }
  }
  return arguments;
}

Value Renderer::evaluate_call(const Expression& expression, const Value* caller) {
  const Value callee = evaluate(*expression.parts[0]);
  Arguments arguments = evaluate_arguments(expression.arguments);
  if (caller != nullptr) {
    for (const auto& [name, value] : arguments.named) {
      if (name == "caller") fail("got multiple values for keyword argument 'caller'");
    }
    arguments.named.emplace_back("caller", *caller);
  }
  line_ = expression.line;
  Value result = call(*this, callee, arguments);
  line_ = expression.line;
  return result;
}

Value Renderer::evaluate_filter(const Expression& expression, const Value* block_text) {
  const Level level(*this);
  Value input;
  if (expression.parts[0] == nullptr) {
    input = *block_text;
  } else if (block_text != nullptr && expression.parts[0]->kind == ExpressionKind::kFilter) {
    input = evaluate_filter(*expression.parts[0], block_text);
  } else {
    input = evaluate(*expression.parts[0]);
  }
  Arguments arguments = evaluate_arguments(expression.arguments);
  line_ = expression.line;
  if (expression.filter == nullptr) fail("No filter named {} found.", repr_text(expression.text));
  return expression.filter(*this, input, arguments);
}

Value Renderer::evaluate_test(const Expression& expression) {
  const Value input = evaluate(*expression.parts[0]);
  Arguments arguments = evaluate_arguments(expression.arguments);
  line_ = expression.line;
  if (expression.test == nullptr) fail("No test named {} found.", repr_text(expression.text));
  return Value::boolean(expression.test(*this, input, arguments));
}

Value Renderer::evaluate_arithmetic(const Expression& expression) {
  Value result = evaluate(*expression.parts[0]);
  for (size_t i = 0; i < expression.symbols.size(); ++i) {
    const Value operand = evaluate(*expression.parts[i + 1]);
    line_ = expression.line;
    result = arithmetic(*this, expression.symbols[i], result, operand);
  }
  return result;
}

Value Renderer::evaluate_concat(const Expression& expression) {
  TextBuilder text(*this);
  for (const Value& part : evaluate_parts(expression)) append_text(*this, text, part);
  return string(text.take());
}

Value Renderer::evaluate_compare(const Expression& expression) {
  Value left = evaluate(*expression.parts[0]);
  for (size_t i = 0; i < expression.symbols.size(); ++i) {
    Value right = evaluate(*expression.parts[i + 1]);
    line_ = expression.line;
    const std::string& symbol = expression.symbols[i];
    const bool holds = symbol == "in"       ? contains(*this, right, left)
                       : symbol == "not in" ? !contains(*this, right, left)
                                            : compare(*this, symbol, left, right);
    if (!holds) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Renderer::evaluate_choice(const Expression& expression, bool stop_at) {
  Value value;
  for (const ExpressionPtr& part : expression.parts) {
    value = evaluate(*part);
    if (truth(value) == stop_at) break;
  }
  return value;
}

Value Renderer::evaluate_condition(const Expression& expression) {
  if (truth(evaluate(*expression.parts[1]))) return evaluate(*expression.parts[0]);
  if (expression.parts[2] != nullptr) return evaluate(*expression.parts[2]);
  return undefined(fmt::format(
      "the inline if-expression on line {} evaluated to false and no else section was defined.",
      expression.line));
}

}  // namespace elastikv::jinja
