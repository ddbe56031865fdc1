#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace elastikv::jinja {

// Jinja2 templates as transformers' apply_chat_template renders them: the syntax, filters and tests
// of jinja2 3.1 with trim_blocks, lstrip_blocks, break, continue and {% generation %}, Python's
// strings and numbers, nothing that changes a list or a dict, no files. Templates are files that
// others wrote, so that every rendering is bounded in time, stack and memory; the MIT header
// library minja is not (a macro that calls itself ends the program, so does a long text in
// std::regex), and it counts bytes where Python counts characters.

/// What a rendering may use; beyond it is an Error.
struct Limits {
  /// Nodes evaluated, items visited, and kilobytes copied.
  int64_t steps = 2'000'000;
  /// Calls of macros and recursive loops inside each other.
  int depth = 100;
  /// Text written.
  size_t output_bytes = size_t{16} << 20;
  /// Strings, lists and dicts in use at a time.
  size_t memory_bytes = size_t{256} << 20;
};

/// A date and a time of day.
struct CivilTime {
  int year = 1970;
  int month = 1;
  int day = 1;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

/// What surrounds a template.
struct Environment {
  /// What strftime_now writes: a date in a prompt has to be a named one. Without it, a template
  /// that asks for the date is an Error.
  std::optional<CivilTime> now;
  Limits limits;
};

/// The template refused what it was given by raise_exception: its message alone.
class Raised : public Error {
 public:
  using Error::Error;
};

struct Program;

/// A parsed template, which any number of threads may render at a time.
class Template {
 public:
  /// Error "NAME:LINE: ..." for a template that jinja2 would not compile, that reads other files,
  /// or that nests deeper than any that is meant to be read.
  static Template parse(std::string_view source, std::string name);

  /// The text for an object of variables. Raised when the template refuses them; Error "NAME:LINE:
  /// ..." for what jinja2 would not render either, for what depends on chance or on addresses in
  /// memory, for integers beyond 64 bits, and when a limit is passed.
  std::string render(const nlohmann::ordered_json& variables,
                     const Environment& environment = {}) const;

  /// Names that are read and that nothing in the template sets, without those that Jinja brings
  /// (range, namespace, ...); "strftime_now" and "raise_exception" are among them when they are
  /// called.
  std::set<std::string> variables() const;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace elastikv::jinja
