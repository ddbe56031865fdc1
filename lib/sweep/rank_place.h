#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace elastikv {

/// Which of several processes of one sweep this one is, as its launcher says it in the environment.
struct RankPlace {
  int64_t rank = 0;         // from 0
  int64_t world = 1;        // how many there are
  int64_t local_rank = 0;   // among those on this machine, from 0
  int64_t local_world = 1;  // how many of them there are
  /// Where the store is through which they share the work.
  std::string address;
  int64_t port = 0;
  /// Its launcher keeps it; else rank 0 does.
  bool launcher_store = false;
  /// What sets this start of the ranks apart from others in the same store.
  std::string run;
  /// How often the launcher has started the ranks again after one failed.
  int64_t restarts = 0;
  std::string launcher;  // "torchrun", "Slurm", "Open MPI", "MPI"
};

/// A variable of the environment; nothing where it is not set or empty.
using Environment = std::function<std::optional<std::string>(const std::string&)>;

/// The environment of this process.
Environment process_environment();

/// What the environment says of
///  * torchrun, or anything else that sets RANK and WORLD_SIZE (LOCAL_RANK, LOCAL_WORLD_SIZE,
///    MASTER_ADDR, MASTER_PORT, TORCHELASTIC_*),
///  * Open MPI's mpirun (OMPI_COMM_WORLD_*), others' (PMI_RANK, PMI_SIZE, MPI_LOCALRANKID,
///    MPI_LOCALNRANKS),
///  * Slurm's srun (SLURM_PROCID, SLURM_STEP_NUM_TASKS or SLURM_NTASKS, SLURM_LOCALID,
///    SLURM_STEP_NODELIST or SLURM_JOB_NODELIST),
/// in this order; MASTER_ADDR and MASTER_PORT hold for all of them. Nothing where there are no
/// several ranks: one by itself, or a script of sbatch that is no step of srun. A launcher that has
/// started a single rank again counts as one that tells so.
/// Error for variables that contradict each other or are not there.
std::optional<RankPlace> find_rank(const Environment& environment);

/// The first host of a list as Slurm writes it: "gpu[03-05,9],login" begins with "gpu03".
std::string first_host(const std::string& list);

}  // namespace elastikv
