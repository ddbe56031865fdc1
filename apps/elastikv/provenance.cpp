#include "provenance.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <set>

#include <ATen/Parallel.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "base/device.h"
#include "base/utf8.h"
#include "base/version.h"
#include "kernels/linear.h"
#include "runtime/machine.h"
#include "runtime/threads.h"
#include "source_version.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

/// As it was typed: where a script has started the program (scripts/bundle/launcher), the script's
/// name stands for the program's.
std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const char* launcher = std::getenv("ELASTIKV_LAUNCHER");
  std::string command;
  for (std::string word; std::getline(file, word, '\0');) {
    if (command.empty() && launcher != nullptr && *launcher != '\0') word = launcher;
    if (!command.empty()) command += ' ';
    command += shell_word(word);
  }
  return command;
}

/// How long threads spin before they sleep, as the environment says it (waiting.cpp).
std::string waiting_policy() {
  for (const char* name : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return fmt::format("{}={}", name, value);
  }
  return "unset";
}

}  // namespace

std::map<std::string, std::string> provenance(const std::vector<Placement>& placements) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const char* threads = std::getenv("OMP_NUM_THREADS");
  std::map<std::string, std::string> facts{
      {"started", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
      {"host", host},
      {"command", command_line()},
      {"program", fmt::format("ElastiKV {}", version())},
      {"source", source_version()},
      {"libtorch", libtorch_version()},
      {"cpu", processor_name(c10::Device(c10::DeviceType::CPU))},
      {"threads", std::to_string(at::get_num_threads())},
      {"threads_by", threads_in_use().reason},
      {"omp_num_threads", threads == nullptr ? "unset" : threads},
      {"omp_waiting", waiting_policy()}};
  std::set<std::string> gpus;
  for (const Placement& placement : placements) {
    const c10::Device device = parse_device(placement.device);
    if (!device.is_cpu()) gpus.insert(processor_name(device));
  }
  if (!gpus.empty()) {
    facts["gpu"] = fmt::format("{}", fmt::join(gpus, ", "));
    facts["cuda"] = cuda_version();
  }
  // They are written as JSON; an environment and a host's name may hold any bytes.
  for (auto& [key, fact] : facts) fact = escape_broken_utf8(fact);
  return facts;
}

std::map<std::string, std::string> measured_provenance(const std::vector<Placement>& placements) {
  std::map<std::string, std::string> facts = provenance(placements);
  std::set<std::string> products;
  for (const Placement& placement : placements) {
    const c10::ScalarType dtype = parse_dtype(placement.dtype);
    if (parse_device(placement.device).is_cpu() && dtype != c10::ScalarType::Half)
      products.insert(fmt::format("{} by {}", placement.dtype, prompt_products(dtype)));
  }
  if (!products.empty()) facts["prompt_products"] = fmt::format("{}", fmt::join(products, ", "));
  return facts;
}

std::string shell_word(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-+./,:=@%").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(text);
  if (!is_valid_utf8(text)) {
    // Bash's way to name bytes, so that the words can stand in JSON.
    std::string escaped;
    for (const char c : text) {
      if (c == '\'' || c == '\\') escaped += '\\';
      escaped += c;
    }
    return "$'" + escape_broken_utf8(escaped) + "'";
  }
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace elastikv
