#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/error.h"

int main(int argc, char** argv) {
  CLI::App app("ElastiKV measures what KV-cache compression does to vision-language models.",
               "elastikv");
  app.set_version_flag("--version", "0.1.0");
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
