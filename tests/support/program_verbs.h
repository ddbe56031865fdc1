#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/run_program.h"

/// The names of the program's verbs, as it says them itself where one is needed.
inline std::vector<std::string> program_verbs() {
  const std::string text = run_elastikv({}).errors;
  const std::string before = "error: a verb is needed: ";
  const size_t end = text.find(" (see ");
  EXPECT_TRUE(text.starts_with(before) && end != std::string::npos) << text;
  std::vector<std::string> verbs;
  for (size_t at = before.size(); at < end && end != std::string::npos;) {
    const size_t next = std::min(text.find(", ", at), end);
    verbs.push_back(text.substr(at, next - at));
    at = next + 2;
  }
  return verbs;
}
