#include "jinja/expression_parser.h"

#include <algorithm>

#include "base/error.h"

namespace elastikv::jinja {
namespace {

using ExpressionKind = Expression::Kind;

/// How deep brackets and statements may nest, and how many operations may hold each other.
constexpr int kMostLevels = 150;

bool is_operator_of(const Token& token, std::initializer_list<std::string_view> symbols) {
  return std::any_of(symbols.begin(), symbols.end(),
                     [&](std::string_view symbol) { return token.is_operator(symbol); });
}

}  // namespace

void TokenStream::fail_expected(std::string_view what) const {
  if (current().is(Token::Kind::kEnd)) {
    fail_here(fmt::format("unexpected end of template, expected '{}'.", what));
  }
  fail_here(fmt::format("expected token '{}', got '{}'", what, described(current())));
}

Nesting::Nesting(int& levels, const TokenStream& tokens) : levels_(levels) {
  if (levels_ >= kMostLevels) {
    tokens.fail_here(fmt::format("nested deeper than {} levels", kMostLevels));
  }
  ++levels_;
}

ExpressionPtr ExpressionParser::make(Expression::Kind kind, int line,
                                     std::vector<ExpressionPtr> parts) const {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  for (const ExpressionPtr& part : parts) {
    if (part != nullptr) expression->depth = std::max(expression->depth, part->depth + 1);
  }
  if (expression->depth > kMostLevels) {
    tokens_.fail_line(line, fmt::format("nested deeper than {} levels", kMostLevels));
  }
  expression->parts = std::move(parts);
  return expression;
}

namespace {

std::vector<ExpressionPtr> list_of(ExpressionPtr one) {
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(one));
  return parts;
}

std::vector<ExpressionPtr> list_of(ExpressionPtr one, ExpressionPtr other) {
  std::vector<ExpressionPtr> parts = list_of(std::move(one));
  parts.push_back(std::move(other));
  return parts;
}

}  // namespace

ExpressionPtr ExpressionParser::expression(bool with_condition) {
  const Nesting nesting(levels_, tokens_);
  if (!with_condition) return either();
  int line = tokens_.current().line;
  ExpressionPtr value = either();
  while (tokens_.skip_name("if")) {
    std::vector<ExpressionPtr> parts = list_of(std::move(value), either());
    parts.push_back(tokens_.skip_name("else") ? expression() : nullptr);
    value = make(ExpressionKind::kCondition, line, std::move(parts));
    line = tokens_.current().line;
  }
  return value;
}

ExpressionPtr ExpressionParser::either() {
  const int line = tokens_.current().line;
  std::vector<ExpressionPtr> parts = list_of(both());
  while (tokens_.skip_name("or")) parts.push_back(both());
  return parts.size() == 1 ? std::move(parts[0])
                           : make(ExpressionKind::kOr, line, std::move(parts));
}

ExpressionPtr ExpressionParser::both() {
  const int line = tokens_.current().line;
  std::vector<ExpressionPtr> parts = list_of(negation());
  while (tokens_.skip_name("and")) parts.push_back(negation());
  return parts.size() == 1 ? std::move(parts[0])
                           : make(ExpressionKind::kAnd, line, std::move(parts));
}

ExpressionPtr ExpressionParser::negation() {
  if (!tokens_.current().is_name("not")) return comparison();
  const Nesting nesting(levels_, tokens_);
  const int line = tokens_.take().line;
  return make(ExpressionKind::kNot, line, list_of(negation()));
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = tokens_.current().line;
  std::vector<ExpressionPtr> parts = list_of(sum());
  std::vector<std::string> symbols;
  while (true) {
    const Token& token = tokens_.current();
    if (is_operator_of(token, {"==", "!=", "<", "<=", ">", ">="})) {
      symbols.push_back(tokens_.take().text);
    } else if (tokens_.skip_name("in")) {
      symbols.emplace_back("in");
    } else if (token.is_name("not") && tokens_.next().is_name("in")) {
      tokens_.take();
      tokens_.take();
      symbols.emplace_back("not in");
    } else {
      break;
    }
    parts.push_back(sum());
  }
  if (symbols.empty()) return std::move(parts[0]);
  ExpressionPtr compare = make(ExpressionKind::kCompare, line, std::move(parts));
  compare->symbols = std::move(symbols);
  return compare;
}

ExpressionPtr ExpressionParser::sum() {
  const int line = tokens_.current().line;
  std::vector<ExpressionPtr> parts = list_of(concatenation());
  std::vector<std::string> symbols;
  while (is_operator_of(tokens_.current(), {"+", "-"})) {
    symbols.push_back(tokens_.take().text);
    parts.push_back(concatenation());
  }
  if (symbols.empty()) return std::move(parts[0]);
  ExpressionPtr arithmetic = make(ExpressionKind::kArithmetic, line, std::move(parts));
  arithmetic->symbols = std::move(symbols);
  return arithmetic;
}

ExpressionPtr ExpressionParser::concatenation() {
  const int line = tokens_.current().line;
  std::vector<ExpressionPtr> parts = list_of(product());
  while (tokens_.skip_operator("~")) parts.push_back(product());
  return parts.size() == 1 ? std::move(parts[0])
                           : make(ExpressionKind::kConcat, line, std::move(parts));
}

ExpressionPtr ExpressionParser::product() {
  const int line = tokens_.current().line;
  std::vector<ExpressionPtr> parts = list_of(power());
  std::vector<std::string> symbols;
  while (is_operator_of(tokens_.current(), {"*", "/", "//", "%"})) {
    symbols.push_back(tokens_.take().text);
    parts.push_back(power());
  }
  if (symbols.empty()) return std::move(parts[0]);
  ExpressionPtr arithmetic = make(ExpressionKind::kArithmetic, line, std::move(parts));
  arithmetic->symbols = std::move(symbols);
  return arithmetic;
}

ExpressionPtr ExpressionParser::power() {
  const int line = tokens_.current().line;
  // From the left, unlike in Python.
  std::vector<ExpressionPtr> parts = list_of(unary());
  std::vector<std::string> symbols;
  while (tokens_.skip_operator("**")) {
    symbols.emplace_back("**");
    parts.push_back(unary());
  }
  if (symbols.empty()) return std::move(parts[0]);
  ExpressionPtr arithmetic = make(ExpressionKind::kArithmetic, line, std::move(parts));
  arithmetic->symbols = std::move(symbols);
  return arithmetic;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const Nesting nesting(levels_, tokens_);
  const int line = tokens_.current().line;
  ExpressionPtr value;
  if (tokens_.skip_operator("-")) {
    value = make(ExpressionKind::kNegative, line, list_of(unary(false)));
  } else if (tokens_.skip_operator("+")) {
    value = make(ExpressionKind::kPositive, line, list_of(unary(false)));
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::primary() {
  const Token& token = tokens_.current();
  const int line = token.line;
  if (token.is(Token::Kind::kName)) {
    const std::string& name = tokens_.take().text;
    ExpressionPtr value = make(ExpressionKind::kConstant, line);
    if (name == "true" || name == "True") {
      value->constant = Value::boolean(true);
    } else if (name == "false" || name == "False") {
      value->constant = Value::boolean(false);
    } else if (name != "none" && name != "None") {
      value->kind = ExpressionKind::kName;
      value->text = name;
    }
    return value;
  }
  if (token.is(Token::Kind::kString)) {
    ExpressionPtr value = make(ExpressionKind::kText, line);
    while (tokens_.current().is(Token::Kind::kString)) value->text += tokens_.take().text;
    return value;
  }
  if (token.is(Token::Kind::kNumber)) {
    ExpressionPtr value = make(ExpressionKind::kConstant, line);
    value->constant = tokens_.take().number;
    return value;
  }
  if (token.is_operator("(")) {
    tokens_.take();
    ExpressionPtr value = tuple(/*with_condition=*/true, {}, /*in_parentheses=*/true);
    tokens_.expect_operator(")");
    return value;
  }
  if (token.is_operator("[")) return list();
  if (token.is_operator("{")) return dict();
  tokens_.fail_here(fmt::format("unexpected '{}'", described(token)));
}

bool ExpressionParser::ends_tuple(std::string_view end) const {
  const Token& token = tokens_.current();
  return token.is(Token::Kind::kPrintEnd) || token.is(Token::Kind::kTagEnd) ||
         token.is_operator(")") || (!end.empty() && token.is_name(end));
}

ExpressionPtr ExpressionParser::tuple(bool with_condition, std::string_view end,
                                      bool in_parentheses) {
  const int line = tokens_.current().line;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) tokens_.expect_operator(",");
    if (ends_tuple(end)) break;
    items.push_back(expression(with_condition));
    if (!tokens_.current().is_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!in_parentheses) {
      tokens_.fail_here(
          fmt::format("Expected an expression, got '{}'", described(tokens_.current())));
    }
  }
  return make(ExpressionKind::kTuple, line, std::move(items));
}

ExpressionPtr ExpressionParser::list() {
  const int line = tokens_.take().line;
  std::vector<ExpressionPtr> items;
  while (!tokens_.current().is_operator("]")) {
    if (!items.empty()) tokens_.expect_operator(",");
    if (tokens_.current().is_operator("]")) break;
    items.push_back(expression());
  }
  tokens_.expect_operator("]");
  return make(ExpressionKind::kList, line, std::move(items));
}

ExpressionPtr ExpressionParser::dict() {
  const int line = tokens_.take().line;
  std::vector<ExpressionPtr> items;
  while (!tokens_.current().is_operator("}")) {
    if (!items.empty()) tokens_.expect_operator(",");
    if (tokens_.current().is_operator("}")) break;
    items.push_back(expression());
    tokens_.expect_operator(":");
    items.push_back(expression());
  }
  tokens_.expect_operator("}");
  return make(ExpressionKind::kDict, line, std::move(items));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr value) {
  while (true) {
    if (is_operator_of(tokens_.current(), {".", "["})) {
      value = subscript(std::move(value));
    } else if (tokens_.current().is_operator("(")) {
      value = call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr value) {
  while (true) {
    if (tokens_.current().is_operator("|")) {
      value = filters(std::move(value));
    } else if (tokens_.current().is_name("is")) {
      value = test(std::move(value));
    } else if (tokens_.current().is_operator("(")) {
      value = call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr value) {
  const Token& token = tokens_.take();
  const int line = token.line;
  if (token.is_operator("[")) {
    ExpressionPtr item = subscribed(std::move(value));
    tokens_.expect_operator("]");
    return item;
  }
  const Token& attribute = tokens_.take();
  if (attribute.is(Token::Kind::kName)) {
    ExpressionPtr result = make(ExpressionKind::kAttribute, line, list_of(std::move(value)));
    result->text = attribute.text;
    return result;
  }
  if (!attribute.is(Token::Kind::kNumber) || !attribute.number.is_integral()) {
    tokens_.fail_line(attribute.line, "expected name or number");
  }
  ExpressionPtr index = make(ExpressionKind::kConstant, line);
  index->constant = attribute.number;
  return make(ExpressionKind::kItem, line, list_of(std::move(value), std::move(index)));
}

ExpressionPtr ExpressionParser::subscribed(ExpressionPtr value) {
  const int line = tokens_.current().line;
  std::vector<ExpressionPtr> keys;
  bool sliced = false;
  std::vector<ExpressionPtr> slice;
  while (!tokens_.current().is_operator("]")) {
    if (!keys.empty() || sliced) tokens_.expect_operator(",");
    if (sliced) tokens_.fail_here("a slice stands alone between brackets");
    ExpressionPtr start;
    if (!tokens_.current().is_operator(":")) {
      start = expression();
      if (!tokens_.current().is_operator(":")) {
        keys.push_back(std::move(start));
        continue;
      }
    }
    if (!keys.empty()) tokens_.fail_here("a slice stands alone between brackets");
    sliced = true;
    tokens_.take();
    const auto bound = [&](bool absent) { return absent ? nullptr : expression(); };
    ExpressionPtr stop = bound(is_operator_of(tokens_.current(), {":", "]", ","}));
    ExpressionPtr step;
    if (tokens_.skip_operator(":")) step = bound(is_operator_of(tokens_.current(), {"]", ","}));
    slice = list_of(std::move(start), std::move(stop));
    slice.push_back(std::move(step));
  }
  if (sliced) {
    slice.insert(slice.begin(), std::move(value));
    return make(ExpressionKind::kSlice, line, std::move(slice));
  }
  ExpressionPtr key =
      keys.size() == 1 ? std::move(keys[0]) : make(ExpressionKind::kTuple, line, std::move(keys));
  return make(ExpressionKind::kItem, line, list_of(std::move(value), std::move(key)));
}

CallArguments ExpressionParser::arguments(int& depth) {
  const int line = tokens_.current().line;
  tokens_.expect_operator("(");
  CallArguments given;
  bool comma = false;
  const auto ensure = [&](bool allowed) {
    if (!allowed) tokens_.fail_line(line, "invalid syntax for function call expression");
  };
  const auto argument = [&] {
    ExpressionPtr value = expression();
    depth = std::max(depth, value->depth + 1);
    return value;
  };
  while (!tokens_.current().is_operator(")")) {
    if (comma) {
      tokens_.expect_operator(",");
      if (tokens_.current().is_operator(")")) break;
    }
    comma = true;
    if (tokens_.current().is_operator("*")) {
      ensure(given.more_positional == nullptr && given.more_named == nullptr);
      tokens_.take();
      given.more_positional = argument();
    } else if (tokens_.current().is_operator("**")) {
      ensure(given.more_named == nullptr);
      tokens_.take();
      given.more_named = argument();
    } else if (tokens_.current().is(Token::Kind::kName) && tokens_.next().is_operator("=")) {
      ensure(given.more_named == nullptr);
      std::string name = tokens_.take().text;
      tokens_.take();
      for (const auto& [known, value] : given.named) {
        if (known == name) {
          tokens_.fail_line(line, fmt::format("keyword argument repeated: {}", name));
        }
      }
      given.named.emplace_back(std::move(name), argument());
    } else {
      ensure(given.more_positional == nullptr && given.more_named == nullptr &&
             given.named.empty());
      given.positional.push_back(argument());
    }
  }
  tokens_.expect_operator(")");
  if (depth > kMostLevels) {
    tokens_.fail_line(line, fmt::format("nested deeper than {} levels", kMostLevels));
  }
  return given;
}

ExpressionPtr ExpressionParser::call(ExpressionPtr callee) {
  ExpressionPtr value =
      make(ExpressionKind::kCall, tokens_.current().line, list_of(std::move(callee)));
  value->arguments = arguments(value->depth);
  return value;
}

std::string ExpressionParser::dotted_name() {
  std::string name = tokens_.expect(Token::Kind::kName, "name").text;
  while (tokens_.skip_operator(".")) {
    name += '.';
    name += tokens_.expect(Token::Kind::kName, "name").text;
  }
  return name;
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr input, bool first_inline) {
  while (first_inline || tokens_.skip_operator("|")) {
    first_inline = false;
    const int line = tokens_.current().line;
    std::string name = dotted_name();
    ExpressionPtr value = make(ExpressionKind::kFilter, line, list_of(std::move(input)));
    value->text = std::move(name);
    value->filter = find_filter(value->text);
    if (tokens_.current().is_operator("(")) value->arguments = arguments(value->depth);
    input = std::move(value);
  }
  return input;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr value) {
  const int line = tokens_.take().line;
  const bool negated = tokens_.skip_name("not");
  std::string name = dotted_name();
  ExpressionPtr result = make(ExpressionKind::kTest, line, list_of(std::move(value)));
  result->text = std::move(name);
  result->test = find_test(result->text);
  const Token& token = tokens_.current();
  const bool begins_operand = token.is(Token::Kind::kName) || token.is(Token::Kind::kString) ||
                              token.is(Token::Kind::kNumber) || is_operator_of(token, {"[", "{"});
  if (token.is_operator("(")) {
    result->arguments = arguments(result->depth);
  } else if (begins_operand && !token.is_name("else") && !token.is_name("or") &&
             !token.is_name("and")) {
    if (token.is_name("is")) tokens_.fail_here("You cannot chain multiple tests with is");
    const Nesting nesting(levels_, tokens_);
    ExpressionPtr operand = postfix(primary());
    result->depth = std::max(result->depth, operand->depth + 1);
    if (result->depth > kMostLevels) {
      tokens_.fail_line(line, fmt::format("nested deeper than {} levels", kMostLevels));
    }
    result->arguments.positional.push_back(std::move(operand));
  }
  return negated ? make(ExpressionKind::kNot, line, list_of(std::move(result))) : std::move(result);
}

std::string ExpressionParser::plain_name() {
  const Token& token = tokens_.expect(Token::Kind::kName, "name");
  for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
    if (token.text == constant) tokens_.fail_line(token.line, "can't assign to 'name'");
  }
  return token.text;
}

Target ExpressionParser::single_target(bool with_attributes) {
  const Nesting nesting(levels_, tokens_);
  Target target;
  target.line = tokens_.current().line;
  if (tokens_.skip_operator("(")) {
    // jinja2 reads an expression here, and assigns to what it can.
    target.kind = Target::Kind::kTuple;
    bool comma = false;
    while (!tokens_.current().is_operator(")")) {
      target.items.push_back(single_target(false));
      if (!tokens_.current().is_operator(",")) break;
      tokens_.take();
      comma = true;
    }
    tokens_.expect_operator(")");
    if (!comma && target.items.size() == 1) {
      Target only = std::move(target.items[0]);
      return only;
    }
    return target;
  }
  if (!tokens_.current().is(Token::Kind::kName)) {
    tokens_.fail_here(fmt::format("can't assign to '{}'", described(tokens_.current())));
  }
  if (with_attributes && tokens_.next().is_operator(".")) {
    target.kind = Target::Kind::kAttribute;
    target.name = tokens_.take().text;
    tokens_.take();
    target.attribute = tokens_.expect(Token::Kind::kName, "name").text;
    return target;
  }
  target.name = plain_name();
  return target;
}

Target ExpressionParser::target(std::string_view end, bool with_attributes) {
  Target target;
  target.kind = Target::Kind::kTuple;
  target.line = tokens_.current().line;
  bool is_tuple = false;
  while (true) {
    if (!target.items.empty()) tokens_.expect_operator(",");
    if (ends_tuple(end)) break;
    target.items.push_back(single_target(with_attributes));
    if (!tokens_.current().is_operator(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return target;
  if (target.items.empty()) {
    tokens_.fail_here(
        fmt::format("Expected an expression, got '{}'", described(tokens_.current())));
  }
  Target only = std::move(target.items[0]);
  return only;
}

std::vector<Parameter> ExpressionParser::signature() {
  std::vector<Parameter> parameters;
  tokens_.expect_operator("(");
  while (!tokens_.current().is_operator(")")) {
    if (!parameters.empty()) tokens_.expect_operator(",");
    Parameter parameter;
    parameter.name = plain_name();
    for (const Parameter& known : parameters) {
      if (known.name == parameter.name) {
        tokens_.fail_here(fmt::format("duplicate argument '{}'", parameter.name));
      }
    }
    if (tokens_.skip_operator("=")) {
      parameter.otherwise = expression();
    } else if (!parameters.empty() && parameters.back().otherwise != nullptr) {
      tokens_.fail_here("non-default argument follows default argument");
    }
    parameters.push_back(std::move(parameter));
  }
  tokens_.expect_operator(")");
  return parameters;
}

}  // namespace elastikv::jinja
