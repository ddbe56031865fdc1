// What is assigned to: names, and the parameters of macros.
#include "base/error.h"
#include "jinja/expression_parser.h"

namespace elastikv::jinja {

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
