#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace elastikv {

/// Bytes that the control groups of this process leave it: the least, over its own group and all
/// those around it that can be seen, of a limit (memory.max and memory.high of version 2,
/// memory.limit_in_bytes of version 1) less what is used there. Pages of files count as free, since
/// they are given back when memory is needed. Never negative; nothing where no group has a limit.
/// Slurm and systemd put limits on groups above a process's own, which has none then.
///
/// `root`: where /proc and /sys lie; another folder in tests.
std::optional<int64_t> control_group_room(const std::filesystem::path& root = "/");

}  // namespace elastikv
