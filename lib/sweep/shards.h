#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sweep/records.h"

namespace elastikv {

// Sweeps whose samples were shared out among jobs that know nothing of each other, each with an
// output folder of its own.

/// What --shard says: "2/4" is the second of four. Error for anything else.
Shard parse_shard(std::string_view text);

/// Several output folders as if one process had made them, in whatever order they are given. Error
/// that names two folders and what sets them apart where they are not of one sweep: name, settings,
/// program, revisions, samples, strategies, a model's weights, or how many shards there are; and
/// where two of them are the same shard.
StoredSweep read_joined_sweep(std::span<const std::filesystem::path> folders);

/// Whether folders are shards of one sweep, to be shown as one run, rather than runs to compare:
/// their names and settings are the same.
bool are_shards(const SweepHeader& a, const SweepHeader& b);

/// Samples of one model and data set that lack a record in some cell.
struct MissingSamples {
  std::string model;
  std::string data;
  size_t samples = 0;  // that the sweep is about
  std::vector<std::string> ids;

  /// "3 of 12 samples of detail-scenes for stampvlm-fp32: a, b, c", no more than a few of them.
  std::string text() const;
};
/// In the order of the sweep; those that have none are left out.
std::vector<MissingSamples> missing_samples(const StoredSweep& sweep);

/// Writes an output folder that holds what is read: records in the order of the sweep's cells and
/// samples, whatever order they were made in. Error when the folder holds records.
void write_stored_sweep(const StoredSweep& sweep, const std::filesystem::path& folder);

}  // namespace elastikv
