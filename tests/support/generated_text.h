#pragma once

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "base/files.h"
#include "support/paths.h"

namespace elastikv {

/// Expects that a page holds `text`, which the program makes, between the lines "<!-- NAME: begin
/// -->" and "<!-- NAME: end -->". With ELASTIKV_UPDATE_DOCS in the environment it is put there.
inline void expect_generated(const std::string& page, const std::string& name,
                             const std::string& text) {
  const std::string file = source_path(page);
  const std::string whole = read_file(file);
  const std::string begin = "<!-- " + name + ": begin -->\n";
  const std::string end = "<!-- " + name + ": end -->\n";
  const size_t at = whole.find(begin);
  ASSERT_NE(at, std::string::npos) << page << " lacks " << begin;
  const size_t start = at + begin.size();
  const size_t stop = whole.find(end, start);
  ASSERT_NE(stop, std::string::npos) << page << " lacks " << end;
  if (std::getenv("ELASTIKV_UPDATE_DOCS") != nullptr) {
    write_file_atomically(file, whole.substr(0, start) + text + whole.substr(stop));
    return;
  }
  EXPECT_EQ(whole.substr(start, stop - start), text)
      << page << " is not what the program says; ELASTIKV_UPDATE_DOCS=1 writes it anew";
}

}  // namespace elastikv
