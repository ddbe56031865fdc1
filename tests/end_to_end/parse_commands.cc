// Says of command lines whether the program takes them, and runs none: reads a JSON array of words
// from each line of its standard input, without the program's name, and prints a line for each:
// what is wrong with it, or nothing. For the examples of --help and scripts/docs_commands.py.
#include <iostream>
#include <string>
#include <vector>

#include <CLI/Error.hpp>
#include <nlohmann/json.hpp>

#include "command_line.h"

int main() {
  std::string text;
  while (std::getline(std::cin, text)) {
    elastikv::CommandLine line;
    std::string problem;
    try {
      line.parse(nlohmann::json::parse(text).get<std::vector<std::string>>());
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() != 0) problem = line.problem(error);  // else --help, --version
    }
    std::cout << problem << '\n';
  }
}
