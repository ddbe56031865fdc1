#include "completion_script.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/strings.h"

namespace elastikv {
namespace {

/// Everything between the two is made from the verbs and their options.
constexpr std::string_view kBashBegin =
    R"(# Completes the command line of elastikv in bash. Made by: elastikv completion bash
_elastikv() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=
  # --option=value comes as three words.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
)";
constexpr std::string_view kBashEnd =
    R"(  [[ -z $words ]] && return 0  # files
  compopt +o bashdefault +o default 2>/dev/null
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o bashdefault -o default -F _elastikv elastikv
)";
constexpr std::string_view kZshBegin =
    R"(#compdef elastikv
# Completes the command line of elastikv in zsh. Made by: elastikv completion zsh
_elastikv() {
  if (( CURRENT == 2 )); then
)";
constexpr std::string_view kZshEnd =
    R"(# Called where zsh has looked it up in a folder of its fpath, else read by a shell.
if [[ $funcstack[1] == _elastikv ]]; then
  _elastikv "$@"
else
  compdef _elastikv elastikv
fi
)";

/// As it is typed: "--keep", "-p". None of what is told by its place.
std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  return names;
}

/// The values of what takes one of a few, none of anything else: CLI::IsMember describes itself in
/// the type's name, as "TEXT:{a,b}".
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find('{');
  const size_t end = type.find('}');
  std::vector<std::string> choices;
  if (begin == std::string::npos || end == std::string::npos) return choices;
  for (size_t at = begin + 1; at <= end;) {
    const size_t next = std::min(type.find(',', at), end);
    choices.push_back(type.substr(at, next - at));
    at = next + 1;
  }
  return choices;
}

bool takes_value(const CLI::Option& option) { return option.get_expected_max() > 0; }
bool takes_several(const CLI::Option& option) { return option.get_expected_max() > 1; }

/// Those that its help names: a former name has no group.
std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return !option->get_group().empty(); });
}

/// The long names of an app's options, and the values of what is told by its place.
struct Offers {
  explicit Offers(const CLI::App& app) {
    for (const CLI::Option* option : options_of(app)) {
      for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
      if (names_of(*option).empty()) places = choices_of(*option);
    }
  }

  std::vector<std::string> options;
  std::vector<std::string> places;
};

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands(/*filter=*/nullptr);
}

std::string bash_verb(const CLI::App& verb) {
  std::string text = fmt::format("      {})\n        case $before in\n", verb.get_name());
  std::vector<std::string> of_files;
  for (const CLI::Option* option : options_of(verb)) {
    const std::vector<std::string> names = names_of(*option);
    if (names.empty() || !takes_value(*option)) continue;
    const std::vector<std::string> choices = choices_of(*option);
    if (choices.empty()) {
      of_files.insert(of_files.end(), names.begin(), names.end());
    } else {
      text += fmt::format("          {}) words='{}' ;;\n", fmt::join(names, " | "),
                          fmt::join(choices, " "));
    }
  }
  if (!of_files.empty()) text += fmt::format("          {}) ;;\n", fmt::join(of_files, " | "));
  const Offers offers(verb);
  text += fmt::format(
      "          *)\n"
      "            words='{}'\n"
      "            [[ $word == -* ]] && words='{}'\n"
      "            ;;\n"
      "        esac\n"
      "        ;;\n",
      fmt::join(offers.places, " "), fmt::join(offers.options, " "));
  return text;
}

/// In quotes, as one word of the shell.
std::string shell_word(std::string_view text) {
  return fmt::format("'{}'", replace_each(text, "'", R"('\'')"));
}

/// Text within a specification of zsh's _arguments, where these letters mean something.
std::string zsh_text(std::string_view text) {
  std::string escaped;
  for (const char letter : text) {
    if (std::string_view(R"(\[]:)").find(letter) != std::string_view::npos) escaped += '\\';
    escaped += letter;
  }
  return escaped;
}

/// The specifications of an option for _arguments, one for each name that it has.
std::vector<std::string> zsh_specifications(const CLI::Option& option) {
  const std::vector<std::string> choices = choices_of(option);
  const std::string values =
      choices.empty() ? "_files" : fmt::format("({})", fmt::join(choices, " "));
  const std::vector<std::string> names = names_of(option);
  if (names.empty()) {
    return {
        fmt::format("{}:{}:{}", takes_several(option) ? "*" : "1", option.get_name(true), values)};
  }
  const std::string others =
      takes_several(option) ? std::string("*") : fmt::format("({})", fmt::join(names, " "));
  std::vector<std::string> specifications;
  for (const std::string& name : names) {
    std::string text = others + name;
    // A long name's value may also come behind an equals sign.
    if (takes_value(option) && name.starts_with("--")) text += '=';
    text += fmt::format("[{}]", zsh_text(option.get_description()));
    if (takes_value(option)) text += fmt::format(":value:{}", values);
    specifications.push_back(text);
  }
  return specifications;
}

std::string zsh_verb(const CLI::App& verb) {
  std::string text = fmt::format("    {})\n      _arguments", verb.get_name());
  for (const CLI::Option* option : options_of(verb)) {
    for (const std::string& specification : zsh_specifications(*option))
      text += " \\\n        " + shell_word(specification);
  }
  return text + "\n      ;;\n";
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::vector<std::string> first;
  for (const CLI::App* verb : verbs_of(app)) first.push_back(verb->get_name());
  const Offers offers(app);
  first.insert(first.end(), offers.options.begin(), offers.options.end());
  std::string text(kBashBegin);
  text += fmt::format("    words='{}'\n  else\n    case ${{COMP_WORDS[1]}} in\n",
                      fmt::join(first, " "));
  for (const CLI::App* verb : verbs_of(app)) text += bash_verb(*verb);
  text += "    esac\n  fi\n";
  text += kBashEnd;
  return text;
}

std::string zsh_completion(const CLI::App& app) {
  std::string text(kZshBegin);
  text += "    local -a verbs=(\n";
  for (const CLI::App* verb : verbs_of(app)) {
    text += fmt::format("      {}\n", shell_word(verb->get_name() + ":" + verb->get_description()));
  }
  text += fmt::format(
      "    )\n"
      "    _describe verb verbs\n"
      "    compadd -- {}\n"
      "    return\n"
      "  fi\n"
      "  local verb=$words[2]\n"
      "  shift words\n"
      "  (( CURRENT -= 1 ))\n"
      "  case $verb in\n",
      fmt::join(Offers(app).options, " "));
  for (const CLI::App* verb : verbs_of(app)) text += zsh_verb(*verb);
  text += "  esac\n}\n";
  text += kZshEnd;
  return text;
}

}  // namespace elastikv
