#pragma once

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/paths.h"

/// A port of this machine that nobody listens on.
inline int free_port() {
  const int socket_descriptor = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound =
      bind(socket_descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(socket_descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(socket_descriptor);
  if (!bound) throw std::runtime_error("no port is free");
  return ntohs(address.sin_port);
}

/// elastikv in the background, with variables of its own in the environment.
class RankProcess {
 public:
  using Variables = std::map<std::string, std::string>;

  /// `prepare` runs in the new process before the program.
  RankProcess(std::vector<std::string> command, const Variables& variables,
              const std::function<void()>& prepare = {}) {
    std::vector<char*> pointers;
    for (std::string& word : command) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    std::fflush(nullptr);
    child_ = fork();
    if (child_ < 0) throw std::runtime_error("cannot start a process");
    if (child_ != 0) return;
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    dup2(fileno(out_.get()), STDOUT_FILENO);
    dup2(fileno(err_.get()), STDERR_FILENO);
    if (prepare) prepare();
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  ~RankProcess() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    wait();
  }
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  pid_t process() const { return child_; }
  /// To the process while it has not been seen to end: afterwards its number is -1, by which kill()
  /// means every process that there is.
  void send(int signal) const {
    if (child_ > 0) kill(child_, signal);
  }
  bool runs() {
    if (child_ <= 0) return false;
    int status = 0;
    if (waitpid(child_, &status, WNOHANG) != child_) return true;
    ended(status);
    return false;
  }
  /// Waits for its end; the exit code, or 128 and the signal.
  int wait() {
    if (child_ > 0) {
      int status = 0;
      while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
      }
      ended(status);
    }
    return exit_code_;
  }
  std::string output() const { return text(out_.get()); }
  std::string errors() const { return text(err_.get()); }

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  void ended(int status) {
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    child_ = -1;
  }
  static std::string text(std::FILE* file) {
    std::string bytes;
    char block[4096];
    std::rewind(file);
    while (const size_t got = std::fread(block, 1, sizeof block, file)) bytes.append(block, got);
    return bytes;
  }

  File out_{std::tmpfile(), &std::fclose};
  File err_{std::tmpfile(), &std::fclose};
  pid_t child_ = -1;
  int exit_code_ = -1;
};

/// Ranks of one sweep on this machine, told so as torchrun tells it.
class RankProcesses {
 public:
  /// `command`: of rank i.
  RankProcesses(int64_t world, const std::function<std::vector<std::string>(int64_t)>& command,
                const std::function<void(int64_t)>& prepare = {})
      : port_(free_port()) {
    for (int64_t rank = 0; rank < world; ++rank) {
      const RankProcess::Variables variables{
          {"RANK", std::to_string(rank)},       {"WORLD_SIZE", std::to_string(world)},
          {"LOCAL_RANK", std::to_string(rank)}, {"LOCAL_WORLD_SIZE", std::to_string(world)},
          {"MASTER_ADDR", "127.0.0.1"},         {"MASTER_PORT", std::to_string(port_)}};
      std::function<void()> own;
      if (prepare) own = [&prepare, rank] { prepare(rank); };
      ranks_.push_back(std::make_unique<RankProcess>(command(rank), variables, own));
    }
  }

  RankProcess& operator[](int64_t rank) { return *ranks_[static_cast<size_t>(rank)]; }
  /// Waits for all; their exit codes as "0 0 137".
  std::string wait() {
    std::string codes;
    for (const auto& rank : ranks_)
      codes += (codes.empty() ? "" : " ") + std::to_string(rank->wait());
    return codes;
  }
  /// What all have said, for messages of tests.
  std::string errors() const {
    std::string text;
    for (const auto& rank : ranks_) text += rank->errors();
    return text;
  }

 private:
  int port_;
  std::vector<std::unique_ptr<RankProcess>> ranks_;
};
