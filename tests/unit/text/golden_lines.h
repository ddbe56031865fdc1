#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/paths.h"

namespace elastikv {

inline const std::string kTextData = source_path("tests/unit/text/data/");
inline const std::string kStampvlm = source_path("models/stampvlm");

/// The lines of a file that tests/parity/make_tokenizer_golden.py wrote.
inline std::vector<nlohmann::json> golden_lines(const std::string& name) {
  std::ifstream file(kTextData + name);
  std::vector<nlohmann::json> lines;
  std::string line;
  while (std::getline(file, line)) lines.push_back(nlohmann::json::parse(line));
  EXPECT_FALSE(lines.empty()) << name << " is missing; run make_tokenizer_golden.py";
  return lines;
}

}  // namespace elastikv
