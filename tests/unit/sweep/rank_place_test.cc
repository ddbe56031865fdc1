#include "sweep/rank_place.h"

#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace elastikv {
namespace {

using Variables = std::map<std::string, std::string>;

Environment environment(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end() || found->second.empty()) return std::nullopt;
    return found->second;
  };
}

/// "RANK/WORLD LOCAL/LOCAL_WORLD ADDRESS:PORT", with "+" where the launcher keeps the store.
std::string place(const Variables& variables) {
  const std::optional<RankPlace> place = find_rank(environment(variables));
  if (!place) return "alone";
  return fmt::format("{}: {}/{} {}/{} {}:{}{}", place->launcher, place->rank, place->world,
                     place->local_rank, place->local_world, place->address, place->port,
                     place->launcher_store ? "+" : "");
}

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

TEST(RankPlace, OfTorchrun) {
  const Variables variables{{"RANK", "5"},           {"WORLD_SIZE", "8"},
                            {"LOCAL_RANK", "1"},     {"LOCAL_WORLD_SIZE", "4"},
                            {"MASTER_ADDR", "gpu1"}, {"MASTER_PORT", "29501"}};
  EXPECT_EQ(place(variables), "RANK and WORLD_SIZE: 5/8 1/4 gpu1:29501");
  const Variables agent = with(variables, {{"TORCHELASTIC_RUN_ID", "none"},
                                           {"TORCHELASTIC_RESTART_COUNT", "2"},
                                           {"TORCHELASTIC_USE_AGENT_STORE", "True"}});
  EXPECT_EQ(place(agent), "torchrun: 5/8 1/4 gpu1:29501+");
  EXPECT_EQ(find_rank(environment(agent))->run, "none/2");
  EXPECT_EQ(find_rank(environment(agent))->restarts, 2);
  EXPECT_EQ(place({}), "alone");
  EXPECT_EQ(place(with(variables, {{"RANK", "0"}, {"WORLD_SIZE", "1"}})), "alone");
  // Torchrun of one process that has failed goes on with what is there.
  EXPECT_EQ(place(with(agent, {{"RANK", "0"}, {"WORLD_SIZE", "1"}})),
            "torchrun: 0/1 1/4 gpu1:29501+");
  EXPECT_EQ(place({{"RANK", "3"}}), "alone");
  EXPECT_ERROR_CONTAINS(place(with(variables, {{"RANK", "8"}})),
                        "RANK is 8, but WORLD_SIZE is 8; --distributed off ignores both");
  EXPECT_ERROR_CONTAINS(
      place(with(variables, {{"WORLD_SIZE", "two"}})),
      "WORLD_SIZE=two in the environment is no number of ranks; --distributed off ignores "
      "it");
  EXPECT_ERROR_CONTAINS(
      place(with(variables, {{"MASTER_ADDR", ""}})),
      "so this is one of 8 ranks, but MASTER_ADDR and MASTER_PORT do not say where");
  EXPECT_ERROR_CONTAINS(place(with(variables, {{"MASTER_PORT", "99999"}})),
                        "MASTER_PORT=99999 is no port");
}

TEST(RankPlace, OfSlurm) {
  const Variables step{{"SLURM_PROCID", "9"},
                       {"SLURM_NTASKS", "16"},
                       {"SLURM_STEP_ID", "0"},
                       {"SLURM_STEP_NUM_TASKS", "12"},
                       {"SLURM_STEP_TASKS_PER_NODE", "4(x3)"},
                       {"SLURM_STEP_NUM_NODES", "3"},
                       {"SLURM_LOCALID", "1"},
                       {"SLURM_JOB_ID", "71"},
                       {"SLURM_JOB_NODELIST", "gpu[07-09,12],login1"}};
  const std::optional<RankPlace> found = find_rank(environment(step));
  ASSERT_TRUE(found);
  EXPECT_EQ(place(step), fmt::format("Slurm: 9/12 1/4 gpu07:{}", found->port));
  EXPECT_GE(found->port, 15000);
  EXPECT_LT(found->port, 32768);
  // Other jobs and steps on the same machine have ports of their own.
  EXPECT_NE(find_rank(environment(with(step, {{"SLURM_STEP_ID", "1"}})))->port, found->port);
  EXPECT_NE(find_rank(environment(with(step, {{"SLURM_JOB_ID", "72"}})))->port, found->port);
  EXPECT_EQ(place(with(step, {{"MASTER_ADDR", "10.0.0.1"}, {"MASTER_PORT", "4000"}})),
            "Slurm: 9/12 1/4 10.0.0.1:4000");
  EXPECT_EQ(find_rank(environment(with(step, {{"SLURM_STEP_NUM_NODES", "1"}})))->address,
            "127.0.0.1");
  // In the script of a job, which is no step: it may run the program by itself.
  EXPECT_EQ(place({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "16"}, {"SLURM_JOB_ID", "71"}}),
            "alone");
}

TEST(RankPlace, OfMpi) {
  const Variables local{{"OMPI_COMM_WORLD_RANK", "1"},
                        {"OMPI_COMM_WORLD_SIZE", "2"},
                        {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                        {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  const std::optional<RankPlace> found = find_rank(environment(local));
  ASSERT_TRUE(found);
  EXPECT_EQ(place(local), fmt::format("Open MPI: 1/2 1/2 127.0.0.1:{}", found->port));
  const Variables far =
      with(local, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "0"}});
  EXPECT_ERROR_CONTAINS(
      place(far),
      "this is one of 2 ranks on several machines; say where rank 0 is: MASTER_ADDR=HOST");
  EXPECT_EQ(place(with(far, {{"MASTER_ADDR", "a"}})), "Open MPI: 1/2 0/1 a:29500");
  EXPECT_EQ(place({{"PMI_RANK", "1"},
                   {"PMI_SIZE", "4"},
                   {"MPI_LOCALRANKID", "1"},
                   {"MPI_LOCALNRANKS", "2"},
                   {"MASTER_ADDR", "a"},
                   {"MASTER_PORT", "7"}}),
            "MPI: 1/4 1/2 a:7");
}

TEST(RankPlace, FirstHostOfAList) {
  EXPECT_EQ(first_host("gpu1"), "gpu1");
  EXPECT_EQ(first_host("gpu1,gpu2"), "gpu1");
  EXPECT_EQ(first_host("gpu[03-05,9]"), "gpu03");
  EXPECT_EQ(first_host("gpu[3]"), "gpu3");
  EXPECT_EQ(first_host("rack[1-2]n[07,09],x"), "rack1n07");
  EXPECT_EQ(first_host("torn[3"), "torn");
  EXPECT_EQ(first_host(""), "");
}

}  // namespace
}  // namespace elastikv
