#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "support/paths.h"

/// What a program left behind: its exit code (128 + the signal's number when a signal ended it) and
/// all it printed.
struct ProgramResult {
  int exit_code = 0;
  std::string output;
  std::string errors;
};

/// Runs a command (program and arguments, no shell, so nothing needs quoting) with `input` as its
/// standard input and waits for it. The three streams are files, so no amount of text can block.
inline ProgramResult run_command(const std::vector<std::string>& command,
                                 std::string_view input = {}) {
  struct Stream {
    std::FILE* file = std::tmpfile();
    Stream() {
      if (file == nullptr) throw std::runtime_error("cannot make a temporary file");
    }
    ~Stream() { std::fclose(file); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    int descriptor() const { return fileno(file); }
    std::string text() const {
      std::string bytes;
      char block[4096];
      std::rewind(file);
      while (const size_t got = std::fread(block, 1, sizeof block, file)) bytes.append(block, got);
      return bytes;
    }
  };
  const Stream in;
  const Stream out;
  const Stream err;
  std::fwrite(input.data(), 1, input.size(), in.file);
  std::rewind(in.file);

  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::fflush(nullptr);  // what is still buffered here must not be written twice
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot start a process");
  if (child == 0) {
    dup2(in.descriptor(), STDIN_FILENO);
    dup2(out.descriptor(), STDOUT_FILENO);
    dup2(err.descriptor(), STDERR_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("lost a process");
  const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {exit_code, out.text(), err.text()};
}

/// Runs elastikv itself with these arguments.
inline ProgramResult run_elastikv(std::vector<std::string> arguments, std::string_view input = {}) {
  arguments.insert(arguments.begin(), program_path());
  return run_command(arguments, input);
}
