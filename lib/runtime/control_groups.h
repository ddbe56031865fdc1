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

/// Processors that the control groups of this process let it use at a time: the least quota over
/// its own group and those around it (cpu.max of version 2, cpu.cfs_quota_us over cpu.cfs_period_us
/// of version 1), which may be a fraction; nothing where no group has one. `root` as above.
std::optional<double> control_group_processors(const std::filesystem::path& root = "/");

}  // namespace elastikv
