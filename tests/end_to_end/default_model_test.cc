#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

/// Two samples of the quickstart with all of its cells: what it holds at once does not grow with
/// the number of samples.
TEST(DefaultModel, QuickstartNeedsNoMoreThanTwoAndAHalfGigabytes) {
  const std::filesystem::path root = source_path();
  if (!std::filesystem::exists(root / "models/stampvlm/assembled/model.safetensors"))
    GTEST_SKIP() << "the default model is not assembled (scripts/stampvlm/assemble.py)";
  // Threads that spin while they wait take the processor from each other when tests run side by
  // side.
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/1);
  const TemporaryFolder folder;
  std::filesystem::current_path(root);  // the sweep's paths are relative
  const ProgramResult result = run_elastikv({"sweep", "configs/quickstart.yaml", "--limit", "2",
                                             "--output", (folder.path() / "out").string()});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find("2 samples. "), std::string::npos) << result.output;
  rusage usage{};
  ASSERT_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
  constexpr int64_t kKilobytes = 2'500'000'000 / 1024;
  EXPECT_LE(usage.ru_maxrss, kKilobytes);
  EXPECT_GT(usage.ru_maxrss, kKilobytes / 10) << "this was not the sweep's memory";
}

}  // namespace
}  // namespace elastikv
