#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>

#include "base/error.h"
#include "completion_script.h"
#include "examples.h"
#include "verbs.h"

namespace elastikv {
namespace {

int print_script(const CLI::App& app, const std::string& shell) {
  const std::string text = shell == "bash" ? bash_completion(app) : zsh_completion(app);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) fail("standard output: cannot write: {}", std::strerror(errno));
  return 0;
}

}  // namespace

void add_completion_verb(CLI::App& app, Verb& chosen) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand(
      "completion", "Print a script that completes verbs, options and their values in a shell");
  verb->add_option("shell", *shell, "Which shell reads the script")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  add_examples(*verb, {{"For bash, which reads it so: . <(elastikv completion bash)", "bash"},
                       {"For zsh: into a folder of its fpath, as the file _elastikv", "zsh"}});
  verb->callback(
      [shell, &app, &chosen] { chosen = [shell, &app] { return print_script(app, *shell); }; });
}

}  // namespace elastikv
