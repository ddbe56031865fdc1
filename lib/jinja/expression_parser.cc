// Operands and the operators between them; what follows an operand is in postfix_parser.cc, what is
// assigned to in target_parser.cc.
#include "jinja/expression_parser.h"

#include <algorithm>

#include "base/error.h"
#include "jinja/expression_list.h"

namespace elastikv::jinja {
namespace {

using ExpressionKind = Expression::Kind;

/// How deep brackets and statements may nest, and how many operations may hold each other.
constexpr int kMostLevels = 150;

}  // namespace

Nesting::Nesting(int& levels, const TokenStream& tokens) : levels_(levels) {
  if (levels_ >= kMostLevels) {
    tokens.fail_here(fmt::format("nested deeper than {} levels", kMostLevels));
  }
  ++levels_;
}

void ExpressionParser::require_depth(int depth, int line) const {
  if (depth <= kMostLevels) return;
  tokens_.fail_line(line, fmt::format("nested deeper than {} levels", kMostLevels));
}

ExpressionPtr ExpressionParser::make(Expression::Kind kind, int line,
                                     std::vector<ExpressionPtr> parts) const {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  for (const ExpressionPtr& part : parts) {
    if (part != nullptr) expression->depth = std::max(expression->depth, part->depth + 1);
  }
  require_depth(expression->depth, line);
  expression->parts = std::move(parts);
  return expression;
}

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
    if (token.is_operator_of({"==", "!=", "<", "<=", ">", ">="})) {
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
  while (tokens_.current().is_operator_of({"+", "-"})) {
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
  while (tokens_.current().is_operator_of({"*", "/", "//", "%"})) {
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

}  // namespace elastikv::jinja
