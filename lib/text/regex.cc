#include "text/regex.h"

#include <mutex>

#include <oniguruma.h>

#include "base/error.h"
#include "base/utf8.h"

namespace elastikv {
namespace {

const OnigUChar* bytes(std::string_view text) {
  return reinterpret_cast<const OnigUChar*>(text.data());
}

void initialize_once() {
  static std::once_flag once;
  std::call_once(once, [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    const int status = onig_initialize(encodings, 1);
    ELASTIKV_ASSERT(status == ONIG_NORMAL, "onig_initialize returned {}", status);
  });
}

struct RegionDeleter {
  void operator()(OnigRegion* region) const { onig_region_free(region, /*free_self=*/1); }
};

}  // namespace

struct Regex::Compiled {
  regex_t* handle = nullptr;
  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    if (handle != nullptr) onig_free(handle);
  }
};

Regex::Regex(std::string_view pattern, std::string_view origin) : pattern_(pattern) {
  initialize_once();
  auto compiled = std::make_shared<Compiled>();
  OnigErrorInfo info{};
  const int status = onig_new(&compiled->handle, bytes(pattern_), bytes(pattern_) + pattern_.size(),
                              ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_ONIGURUMA, &info);
  if (status != ONIG_NORMAL) {
    OnigUChar reason[ONIG_MAX_ERROR_MESSAGE_LEN] = {};
    onig_error_code_to_str(reason, status, &info);
    fail("{}: regular expression '{}' is malformed: {}", origin, pattern_,
         reinterpret_cast<const char*>(reason));
  }
  compiled_ = std::move(compiled);
}

std::vector<ByteSpan> Regex::find_all(std::string_view text) const {
  std::vector<ByteSpan> matches;
  const std::unique_ptr<OnigRegion, RegionDeleter> region(onig_region_new());
  size_t from = 0;
  bool had_match = false;
  size_t last_end = 0;
  while (from <= text.size()) {
    onig_region_clear(region.get());
    const int found =
        onig_search(compiled_->handle, bytes(text), bytes(text) + text.size(), bytes(text) + from,
                    bytes(text) + text.size(), region.get(), ONIG_OPTION_NONE);
    if (found == ONIG_MISMATCH) break;
    if (found < 0) {
      OnigUChar reason[ONIG_MAX_ERROR_MESSAGE_LEN] = {};
      onig_error_code_to_str(reason, found);
      fail("regular expression '{}' gave up on a text of {} bytes: {}", pattern_, text.size(),
           reinterpret_cast<const char*>(reason));
    }
    const ByteSpan span{static_cast<size_t>(region->beg[0]), static_cast<size_t>(region->end[0])};
    // \K moves the beginning of a match, also to where it lies behind the end or in the last match.
    if (span.begin > span.end || span.begin < last_end) {
      fail("regular expression '{}' finds something that ends before it begins or overlaps",
           pattern_);
    }
    if (span.begin == span.end && had_match && last_end == span.end) {
      from += from < text.size() ? utf8_step(text, from).size : 1;
      continue;
    }
    matches.push_back(span);
    from = span.end;
    last_end = span.end;
    had_match = true;
  }
  return matches;
}

std::string escape_regex(std::string_view literal) {
  std::string pattern;
  for (const char letter : literal) {
    if (std::string_view("\\.+*?()|[]{}^$#&-~/").find(letter) != std::string_view::npos) {
      pattern.push_back('\\');
    }
    pattern.push_back(letter);
  }
  return pattern;
}

}  // namespace elastikv
