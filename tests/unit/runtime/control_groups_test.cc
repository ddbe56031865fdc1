#include "runtime/control_groups.h"

#include <cstdlib>
#include <string>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "runtime/threads.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

constexpr const char* kMount2 =
    "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kMount1 =
    "24 1 0:22 / /proc rw - proc proc rw\n"
    "41 32 0:36 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "42 32 0:37 / /sys/fs/cgroup/memory rw shared:18 - cgroup cgroup rw,memory\n";

/// A machine's /proc and /sys in a folder.
class ControlGroups : public testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) const { folder_.write(file, text); }
  /// A group of version 2. Its pages of files are 40 bytes, 20 more are tmpfs's.
  void group(const std::string& name, const std::string& max, const std::string& high,
             const std::string& current) const {
    const std::string folder = "sys/fs/cgroup/" + name + "/";
    write(folder + "memory.max", max + "\n");
    write(folder + "memory.high", high + "\n");
    write(folder + "memory.current", current + "\n");
    write(folder + "memory.stat",
          "anon 7\nfile 60\nshmem 20\ninactive_file 30\nactive_file 10\nslab 3\n");
  }
  std::optional<int64_t> room() const { return control_group_room(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(ControlGroups, NothingIsSaidWithoutThem) {
  EXPECT_EQ(room(), std::nullopt);
  write("proc/self/mountinfo", "24 1 0:22 / /proc rw - proc proc rw\n");
  write("proc/self/cgroup", "");
  EXPECT_EQ(room(), std::nullopt);
}

TEST_F(ControlGroups, ALimitOnTheOwnGroup) {
  write("proc/self/mountinfo", kMount2);
  write("proc/self/cgroup", "0::/user.slice/job\n");
  group("user.slice", "max", "max", "900");
  group("user.slice/job", "1000", "max", "300");
  EXPECT_EQ(room(), 1000 - 300 + 40);
}

/// As systemd-run --slice and Slurm's job above its steps do it.
TEST_F(ControlGroups, ALimitOnAGroupAroundIt) {
  write("proc/self/mountinfo", kMount2);
  write("proc/self/cgroup", "0::/system.slice/slurmstepd.scope/job_7/step_0/user/task_0\n");
  group("system.slice/slurmstepd.scope/job_7", "2000", "max", "1500");
  group("system.slice/slurmstepd.scope/job_7/step_0", "max", "max", "800");
  group("system.slice/slurmstepd.scope/job_7/step_0/user/task_0", "max", "max", "700");
  EXPECT_EQ(room(), 2000 - 1500 + 40);
  // The smallest room counts, not the smallest limit.
  group("system.slice/slurmstepd.scope/job_7/step_0", "1800", "max", "800");
  EXPECT_EQ(room(), 2000 - 1500 + 40);
  group("system.slice/slurmstepd.scope/job_7/step_0", "900", "max", "800");
  EXPECT_EQ(room(), 900 - 800 + 40);
}

TEST_F(ControlGroups, MemoryHighIsALimitToo) {
  write("proc/self/mountinfo", kMount2);
  write("proc/self/cgroup", "0::/job\n");
  group("job", "1000", "600", "500");
  EXPECT_EQ(room(), 600 - 500 + 40);
  group("job", "max", "600", "900");
  EXPECT_EQ(room(), 0) << "more is used than high allows";
}

/// A container with a namespace of its own sees its group as the root.
TEST_F(ControlGroups, TheRootOfAContainer) {
  write("proc/self/mountinfo", kMount2);
  write("proc/self/cgroup", "0::/\n");
  group(".", "5000", "max", "1000");
  EXPECT_EQ(room(), 5000 - 1000 + 40);
  // Of a process that was moved out of what is mounted, the mounted group is around it.
  write("proc/self/cgroup", "0::/../elsewhere\n");
  EXPECT_EQ(room(), 5000 - 1000 + 40);
}

TEST_F(ControlGroups, TheFirstVersion) {
  write("proc/self/mountinfo", kMount1);
  write("proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/slurm/uid_0/job_7/step_0\n");
  const std::string memory = "sys/fs/cgroup/memory/slurm/uid_0/job_7/";
  write(memory + "memory.limit_in_bytes", "3000\n");
  write(memory + "memory.usage_in_bytes", "1000\n");
  write(memory + "memory.stat", "cache 500\ntotal_inactive_file 50\ntotal_active_file 5\n");
  write(memory + "step_0/memory.limit_in_bytes", "9223372036854771712\n");
  write(memory + "step_0/memory.usage_in_bytes", "700\n");
  EXPECT_EQ(room(), 3000 - 1000 + 55);
}

/// A container without a namespace: /proc names the group as the host knows it, and that group is
/// what is mounted.
TEST_F(ControlGroups, AMountOfTheContainersOwnGroup) {
  write("proc/self/mountinfo",
        "42 32 0:37 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  write("proc/self/cgroup", "4:memory:/docker/abc/inner\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(room(), 3000);
  write("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "2000\n");
  write("sys/fs/cgroup/memory/inner/memory.usage_in_bytes", "500\n");
  EXPECT_EQ(room(), 1500);
}

/// Version 1 with its memory beside version 2 without (systemd's "hybrid").
TEST_F(ControlGroups, BothVersionsAtOnce) {
  write("proc/self/mountinfo",
        std::string(kMount1) + "43 32 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  write("proc/self/cgroup", "4:memory:/a\n0::/b\n");
  write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "800\n");
  write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "300\n");
  write("sys/fs/cgroup/unified/b/cgroup.procs", "1\n");
  EXPECT_EQ(room(), 500);
}

TEST_F(ControlGroups, QuotasOfProcessors) {
  const auto processors = [&] { return control_group_processors(folder_.path()); };
  EXPECT_EQ(processors(), std::nullopt);
  write("proc/self/mountinfo", kMount2);
  write("proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  write("sys/fs/cgroup/slurm/job_7/step_0/cpu.max", "max 100000\n");
  EXPECT_EQ(processors(), std::nullopt);
  // The quota of a group around the process's own.
  write("sys/fs/cgroup/slurm/job_7/cpu.max", "200000 100000\n");
  EXPECT_EQ(processors(), 2.0);
  write("sys/fs/cgroup/slurm/cpu.max", "150000 100000\n");
  EXPECT_EQ(processors(), 1.5);
  write("sys/fs/cgroup/slurm/cpu.max", "nonsense\n");
  EXPECT_EQ(processors(), 2.0);
}

TEST_F(ControlGroups, QuotasOfTheFirstVersion) {
  const auto processors = [&] { return control_group_processors(folder_.path()); };
  write("proc/self/mountinfo", kMount1);
  write("proc/self/cgroup", "5:cpu,cpuacct:/docker/abc\n4:memory:/other\n");
  const std::string group = "sys/fs/cgroup/cpu/docker/abc/";
  write(group + "cpu.cfs_quota_us", "-1\n");
  write(group + "cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(processors(), std::nullopt);
  write(group + "cpu.cfs_quota_us", "50000\n");
  EXPECT_EQ(processors(), 0.5);
}

TEST_F(ControlGroups, ThreadsFollowTheQuota) {
  write("proc/self/mountinfo", kMount2);
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/cpu.max", "50000 100000\n");
  const char* set = std::getenv("OMP_NUM_THREADS");
  const std::string before = set == nullptr ? "" : set;
  unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(choose_threads(0, folder_.path()).threads, 1);
  EXPECT_EQ(choose_threads(0, folder_.path()).reason, "a quota of 0.5 processors");
  // What a user says goes before it.
  EXPECT_EQ(choose_threads(3, folder_.path()).threads, 3);
  EXPECT_EQ(choose_threads(3, folder_.path()).reason, "--threads");
  setenv("OMP_NUM_THREADS", "7", /*overwrite=*/1);
  EXPECT_EQ(choose_threads(0, folder_.path()).reason, "OMP_NUM_THREADS");
  write("sys/fs/cgroup/job/cpu.max", "6400000 100000\n");
  unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(choose_threads(0, folder_.path()).threads, at::get_num_threads());
  EXPECT_EQ(choose_threads(0, folder_.path()).reason, "the processors that are allowed");
  if (!before.empty()) setenv("OMP_NUM_THREADS", before.c_str(), /*overwrite=*/1);
}

TEST(ModelThreads, AreFewForASmallModelUnlessTheyWereAskedFor) {
  const ThreadChoice sixteen{16, "the processors that are allowed", /*asked=*/false};
  EXPECT_EQ(threads_for_model(sixteen, 70'000).threads, 1);
  EXPECT_EQ(threads_for_model(sixteen, 3'999'999).threads, 1);
  EXPECT_EQ(threads_for_model(sixteen, 8'000'000).threads, 4);
  EXPECT_EQ(threads_for_model(sixteen, 8'000'000).reason, "one for every 2 million parameters");
  EXPECT_EQ(threads_for_model(sixteen, 135'000'000).reason, sixteen.reason);
  EXPECT_EQ(threads_for_model({16, "--threads"}, 70'000).threads, 16);

  const ThreadChoice before = threads_in_use();
  use_threads({3, "the processors that are allowed", /*asked=*/false});
  {
    const ModelThreads threads(4'000'000);
    EXPECT_EQ(at::get_num_threads(), 2);
  }
  EXPECT_EQ(at::get_num_threads(), 3);
  use_threads({3, "--threads"});
  {
    const ModelThreads threads(4'000'000);
    EXPECT_EQ(at::get_num_threads(), 3);
  }
  use_threads(before);
}

}  // namespace
}  // namespace elastikv
