#include "jinja/token_stream.h"

#include "base/error.h"

namespace elastikv::jinja {

void TokenStream::fail_expected(std::string_view what) const {
  if (current().is(Token::Kind::kEnd)) {
    fail_here(fmt::format("unexpected end of template, expected '{}'.", what));
  }
  fail_here(fmt::format("expected token '{}', got '{}'", what, described(current())));
}

}  // namespace elastikv::jinja
