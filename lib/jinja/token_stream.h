#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jinja/lexer.h"

namespace elastikv::jinja {

/// Tokens that are taken one after another.
class TokenStream {
 public:
  TokenStream(std::string_view source, std::string_view name)
      : name_(name), tokens_(tokenize(source, name)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  /// The current token, which is left behind; the last one stays.
  const Token& take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }

  bool skip_name(std::string_view name) { return skip(current().is_name(name)); }
  bool skip_operator(std::string_view symbol) { return skip(current().is_operator(symbol)); }
  /// Error when the current token is another.
  const Token& expect(Token::Kind kind, std::string_view what) {
    if (!current().is(kind)) fail_expected(what);
    return take();
  }
  void expect_name(std::string_view name) {
    if (!skip_name(name)) fail_expected(name);
  }
  void expect_operator(std::string_view symbol) {
    if (!skip_operator(symbol)) fail_expected(symbol);
  }

  [[noreturn]] void fail_here(std::string_view problem) const {
    fail_at(name_, current().line, problem);
  }
  [[noreturn]] void fail_line(int line, std::string_view problem) const {
    fail_at(name_, line, problem);
  }

 private:
  bool skip(bool matches) {
    if (matches) take();
    return matches;
  }
  [[noreturn]] void fail_expected(std::string_view what) const;

  std::string_view name_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace elastikv::jinja
