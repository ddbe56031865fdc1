#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/progress.h"
#include "sweep/runner.h"

namespace elastikv {

/// run_sweep, of whose progress nothing is seen.
inline SweepOutcome run_quietly(const SweepConfig& config, const RunOptions& options,
                                const Engines& engines) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> null(std::fopen("/dev/null", "w"),
                                                             &std::fclose);
  Progress progress(null.get());
  return run_sweep(config, options, engines, progress);
}

/// The records of a folder by cell and sample, without their seconds.
inline std::map<std::pair<std::string, std::string>, nlohmann::json> records_without_seconds(
    const std::filesystem::path& folder) {
  std::map<std::pair<std::string, std::string>, nlohmann::json> records;
  std::ifstream file(folder / "records.jsonl");
  for (std::string line; std::getline(file, line);) {
    nlohmann::json record = nlohmann::json::parse(line);
    std::function<void(nlohmann::json&)> forget = [&](nlohmann::json& value) {
      if (value.is_object()) {
        value.erase("seconds");
        value.erase("shared_seconds");
      }
      if (value.is_structured()) std::for_each(value.begin(), value.end(), forget);
    };
    forget(record);
    // The right side of an assignment is made first, which leaves nothing to read the names of.
    const std::pair<std::string, std::string> place{record.at("cell"), record.at("sample")};
    records[place] = std::move(record);
  }
  return records;
}

}  // namespace elastikv
