#pragma once

#include <string_view>

#include "jinja/syntax.h"
#include "jinja/token_stream.h"

namespace elastikv::jinja {

/// Counts a level of nesting as long as it lives.
class Nesting {
 public:
  /// Error when the limit is passed.
  Nesting(int& levels, const TokenStream& tokens);
  ~Nesting() { --levels_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  int& levels_;
};

/// Reads the expressions of a template. Every function throws an Error "NAME:LINE: ..." for what
/// jinja2 would not read.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  /// An expression; `with_condition` says whether it may be one of `a if b else c`.
  ExpressionPtr expression(bool with_condition = true);
  /// The same, or several with commas between them, which are a tuple. `end` is a word that ends
  /// it.
  ExpressionPtr tuple(bool with_condition = true, std::string_view end = {},
                      bool in_parentheses = false);
  /// The filters that follow, each of the one before and the first of `input`; `first_inline` when
  /// there is no | before the first.
  ExpressionPtr filters(ExpressionPtr input, bool first_inline = false);
  /// A name, or names between commas and in parentheses, up to the word `end`.
  Target target(std::string_view end, bool with_attributes);
  std::string plain_name();
  std::vector<Parameter> signature();

 private:
  ExpressionPtr make(Expression::Kind kind, int line, std::vector<ExpressionPtr> parts = {}) const;
  /// Error for operations that hold each other too deep.
  void require_depth(int depth, int line) const;

  // Operators and operands (expression_parser.cc).
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters = true);
  ExpressionPtr primary();
  ExpressionPtr list();
  ExpressionPtr dict();
  bool ends_tuple(std::string_view end) const;

  // What follows an operand (postfix_parser.cc).
  ExpressionPtr postfix(ExpressionPtr value);
  ExpressionPtr filters_and_tests(ExpressionPtr value);
  ExpressionPtr subscript(ExpressionPtr value);
  ExpressionPtr subscribed(ExpressionPtr value);
  ExpressionPtr call(ExpressionPtr callee);
  ExpressionPtr test(ExpressionPtr value);
  /// `depth` becomes that of the deepest argument at least.
  CallArguments arguments(int& depth);
  std::string dotted_name();

  // What is assigned to (target_parser.cc).
  Target single_target(bool with_attributes);

  TokenStream& tokens_;
  int levels_ = 0;
};

}  // namespace elastikv::jinja
