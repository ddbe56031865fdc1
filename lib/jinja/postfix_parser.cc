// What follows an operand: attributes, items, calls, filters and tests.
#include <algorithm>

#include "base/error.h"
#include "jinja/expression_list.h"
#include "jinja/expression_parser.h"

namespace elastikv::jinja {
namespace {

using ExpressionKind = Expression::Kind;

}  // namespace

ExpressionPtr ExpressionParser::postfix(ExpressionPtr value) {
  while (true) {
    if (tokens_.current().is_operator_of({".", "["})) {
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
    ExpressionPtr stop = bound(tokens_.current().is_operator_of({":", "]", ","}));
    ExpressionPtr step;
    if (tokens_.skip_operator(":")) step = bound(tokens_.current().is_operator_of({"]", ","}));
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
  require_depth(depth, line);
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
                              token.is(Token::Kind::kNumber) || token.is_operator_of({"[", "{"});
  if (token.is_operator("(")) {
    result->arguments = arguments(result->depth);
  } else if (begins_operand && !token.is_name("else") && !token.is_name("or") &&
             !token.is_name("and")) {
    if (token.is_name("is")) tokens_.fail_here("You cannot chain multiple tests with is");
    const Nesting nesting(levels_, tokens_);
    ExpressionPtr operand = postfix(primary());
    result->depth = std::max(result->depth, operand->depth + 1);
    require_depth(result->depth, line);
    result->arguments.positional.push_back(std::move(operand));
  }
  return negated ? make(ExpressionKind::kNot, line, list_of(std::move(result))) : std::move(result);
}

}  // namespace elastikv::jinja
