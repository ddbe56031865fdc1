#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>

#include "runtime/memory.h"
#include "sweep/config.h"

namespace elastikv {

/// The sweep file and what the command line changes in it: the options that `sweep` and `plan`
/// share.
struct SweepOptions {
  std::string file;
  std::vector<std::string> set;
  std::vector<std::string> plugins;
  int64_t limit = 0;
  std::string device;
  std::string dtype;
  std::string output;
  std::vector<std::string> sample_ids;
  bool keep_going = false;
  std::string memory_limit;
  bool predict_only = false;

  // Which of the options above were given.
  CLI::Option* limit_option = nullptr;
  CLI::Option* device_option = nullptr;
  CLI::Option* dtype_option = nullptr;
  CLI::Option* output_option = nullptr;

  /// The sweep, whose plugins are loaded then.
  SweepConfig read() const;
  /// The limit of --memory-limit, in force while it lives; nothing without that option.
  std::unique_ptr<MemoryLimit> limit_memory() const;
  /// The words after "elastikv sweep" that run the same again.
  std::vector<std::string> words() const;
};

/// Adds the options to a subcommand.
void add_sweep_options(CLI::App& verb, const std::shared_ptr<SweepOptions>& options);

}  // namespace elastikv
