#include "usage_error.h"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/nearest_name.h"

namespace elastikv {
namespace {

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands(/*filter=*/nullptr))
    names.push_back(verb->get_name());
  return names;
}

std::string unexpected_message(const CLI::App& verb) {
  const std::string argument = verb.remaining(/*recurse=*/true).front();
  if (!argument.starts_with('-')) return fmt::format("unexpected argument '{}'", argument);
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  const std::string nearest = nearest_name(argument.substr(0, argument.find('=')), names);
  return fmt::format("unknown option '{}'{}", argument,
                     nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
}

}  // namespace

std::string usage_message(const CLI::App& app, const CLI::ParseError& error,
                          const std::string& first) {
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  if (parsed.empty()) {
    const std::vector<std::string> names = verb_names(app);
    if (first.empty() || first.starts_with('-')) {
      return fmt::format("a verb is needed: {} (see elastikv --help)", fmt::join(names, ", "));
    }
    return fmt::format("unknown verb '{}'{} (see elastikv --help)", first,
                       suggestion(first, names));
  }
  const CLI::App& verb = *parsed.front();
  const bool unexpected = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr &&
                          !verb.remaining(/*recurse=*/true).empty();
  return fmt::format("{} (see elastikv {} --help)",
                     unexpected ? unexpected_message(verb) : error.what(), verb.get_name());
}

CLI::Validator not_empty() {
  return CLI::Validator(
      [](const std::string& value) {
        return value.empty() ? std::string("the value is empty") : std::string();
      },
      /*validator_desc=*/"");
}

CLI::Validator not_negative() {
  return CLI::Validator(
      [](const std::string& value) {
        return value.starts_with('-') ? value + " is negative" : std::string();
      },
      /*validator_desc=*/"");
}

}  // namespace elastikv
