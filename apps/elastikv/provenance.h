#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// Where a model runs and how it computes, as parse_device and parse_dtype take them.
struct Placement {
  std::string device;
  std::string dtype;
};

/// When, where and with what the program runs: started, host, command (as it was given), program,
/// source (the commit), libtorch, cpu, threads, threads_by (what chose them), omp_num_threads,
/// omp_waiting and, where one of the devices is a GPU, gpu and cuda.
std::map<std::string, std::string> provenance(const std::vector<Placement>& placements);

/// The same for whoever goes on to compute: with prompt_products (see there), which are measured,
/// where one of the devices is the CPU.
std::map<std::string, std::string> measured_provenance(const std::vector<Placement>& placements);

/// A word as a shell reads it back, and as valid UTF-8: in quotes where it needs them, $'\xff'
/// (bash, zsh) where it holds bytes that are no text.
std::string shell_word(std::string_view text);

}  // namespace elastikv
