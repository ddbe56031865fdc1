#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace elastikv::jinja {

struct Token {
  enum class Kind : uint8_t {
    kData,        // text outside of tags
    kPrintBegin,  // {{
    kPrintEnd,    // }}
    kTagBegin,    // {%
    kTagEnd,      // %}
    kName,
    kString,
    kNumber,
    kOperator,
    kEnd,
  };
  Kind kind = Kind::kEnd;
  int line = 1;
  /// The text, the name, the string without its quotes, or the operator.
  std::string text;
  /// Of a number.
  Value number;

  bool is(Kind other) const { return kind == other; }
  bool is_name(std::string_view name) const { return kind == Kind::kName && text == name; }
  bool is_operator(std::string_view symbol) const {
    return kind == Kind::kOperator && text == symbol;
  }
  bool is_operator_of(std::initializer_list<std::string_view> symbols) const {
    return std::any_of(symbols.begin(), symbols.end(),
                       [this](std::string_view symbol) { return is_operator(symbol); });
  }
};

/// What a message calls a token.
std::string described(const Token& token);

/// The tokens of a template, the last of which is kEnd, with trim_blocks and lstrip_blocks. Error
/// "NAME:LINE: ..." where jinja2 finds none, or for an integer beyond 64 bits.
std::vector<Token> tokenize(std::string_view source, std::string_view name);

/// Throws the Error of a place in a template.
[[noreturn]] void fail_at(std::string_view name, int line, std::string_view problem);

}  // namespace elastikv::jinja
