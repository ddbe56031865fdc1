#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace elastikv {

/// When, where and with what the program runs: started, host, command (as it was given), program,
/// source (the commit), libtorch, cpu, threads, threads_by (what chose them), omp_num_threads,
/// omp_waiting and, where one of the devices is a GPU, gpu and cuda. `devices` as parse_device
/// takes them.
std::map<std::string, std::string> provenance(const std::vector<std::string>& devices);

/// A word as a shell reads it back, and as valid UTF-8: in quotes where it needs them, $'\xff'
/// (bash, zsh) where it holds bytes that are no text.
std::string shell_word(std::string_view text);

}  // namespace elastikv
