#pragma once

#include <string>

#include <CLI/App.hpp>

namespace elastikv {

/// What is wrong with a command line, in one line that ends by naming the help to read. `app` is
/// the program's, after its parse() threw `error`; `first` the first argument, empty without any.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error,
                          const std::string& first);

/// A validator that refuses an empty value: CLI11 takes "--keep ''" (an unset shell variable) as if
/// the option had not been given.
CLI::Validator not_empty();

/// A validator that refuses "-1", which CLI11 takes for the largest unsigned number.
CLI::Validator not_negative();

}  // namespace elastikv
