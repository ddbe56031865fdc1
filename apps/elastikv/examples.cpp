#include "examples.h"

#include <fmt/format.h>

namespace elastikv {

void add_examples(CLI::App& verb, const std::vector<Example>& examples) {
  std::string text = "Examples:";
  for (const Example& example : examples) {
    text += fmt::format("\n  # {}\n  build/release/bin/elastikv {} {}", example.does,
                        verb.get_name(), example.words);
  }
  verb.footer(text);
}

}  // namespace elastikv
