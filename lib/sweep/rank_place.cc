#include "sweep/rank_place.h"

#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/hash.h"

namespace elastikv {
namespace {

/// c10d's own, and torchrun's.
constexpr int64_t kDefaultPort = 29500;

/// A port that all ranks make of what they all know, below those that systems give out themselves.
int64_t port_of(const std::string& known) {
  const std::string hash = content_hash(known);
  return 15000 + static_cast<int64_t>(std::stoul(hash.substr(0, 6), nullptr, 16) % 17000);
}

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  bool has(const std::string& name) const { return environment_(name).has_value(); }
  std::string text(const std::string& name, const std::string& otherwise = "") const {
    return environment_(name).value_or(otherwise);
  }
  std::optional<int64_t> find(const std::string& name) const {
    const std::optional<std::string> text = environment_(name);
    if (!text) return std::nullopt;
    int64_t number = 0;
    if (!parse_int(*text, number) || number < 0)
      fail("{}={} in the environment is no number of ranks; --distributed off ignores it", name,
           *text);
    return number;
  }
  int64_t number(const std::string& name, int64_t otherwise) const {
    return find(name).value_or(otherwise);
  }

 private:
  const Environment& environment_;
};

void require_place(const RankPlace& place, const char* rank, const char* world) {
  if (place.rank >= place.world) {
    fail("{} is {}, but {} is {}; --distributed off ignores both", rank, place.rank, world,
         place.world);
  }
}

RankPlace torchrun_place(const Reader& reader) {
  RankPlace place;
  place.launcher = reader.has("TORCHELASTIC_RUN_ID") ? "torchrun" : "RANK and WORLD_SIZE";
  place.rank = reader.number("RANK", 0);
  place.world = reader.number("WORLD_SIZE", 1);
  require_place(place, "RANK", "WORLD_SIZE");
  place.local_rank = reader.number("LOCAL_RANK", 0);
  place.local_world = reader.number("LOCAL_WORLD_SIZE", place.local_rank + 1);
  place.launcher_store = reader.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  place.restarts = reader.number("TORCHELASTIC_RESTART_COUNT", 0);
  place.run = fmt::format("{}/{}", reader.text("TORCHELASTIC_RUN_ID", "none"), place.restarts);
  if (place.world > 1 && (!reader.has("MASTER_ADDR") || !reader.has("MASTER_PORT"))) {
    fail(
        "RANK and WORLD_SIZE are set, so this is one of {} ranks, but MASTER_ADDR and MASTER_PORT "
        "do not say where rank 0 is; --distributed off runs the sweep by itself",
        place.world);
  }
  return place;
}

/// Where rank 0 of mpirun is: on this machine, if all ranks are.
void find_mpi_store(const Reader& reader, RankPlace& place) {
  if (reader.has("MASTER_ADDR")) return;
  if (place.local_world < place.world) {
    fail(
        "this is one of {} ranks on several machines; say where rank 0 is: MASTER_ADDR=HOST in the "
        "environment of all of them (mpirun -x MASTER_ADDR=HOST)",
        place.world);
  }
  place.address = "127.0.0.1";
  // They all have one parent, mpirun or the daemon that it has on the machine.
  place.port = port_of(fmt::format("mpi {}", getppid()));
}

RankPlace open_mpi_place(const Reader& reader) {
  RankPlace place;
  place.launcher = "Open MPI";
  place.rank = reader.number("OMPI_COMM_WORLD_RANK", 0);
  place.world = reader.number("OMPI_COMM_WORLD_SIZE", 1);
  require_place(place, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE");
  place.local_rank = reader.number("OMPI_COMM_WORLD_LOCAL_RANK", place.rank);
  place.local_world = reader.number("OMPI_COMM_WORLD_LOCAL_SIZE", place.world);
  find_mpi_store(reader, place);
  return place;
}

RankPlace pmi_place(const Reader& reader) {
  RankPlace place;
  place.launcher = "MPI";
  place.rank = reader.number("PMI_RANK", 0);
  place.world = reader.number("PMI_SIZE", 1);
  require_place(place, "PMI_RANK", "PMI_SIZE");
  place.local_rank = reader.number("MPI_LOCALRANKID", place.rank);
  place.local_world = reader.number("MPI_LOCALNRANKS", place.world);
  find_mpi_store(reader, place);
  return place;
}

RankPlace slurm_place(const Reader& reader) {
  RankPlace place;
  place.launcher = "Slurm";
  place.rank = reader.number("SLURM_PROCID", 0);
  place.world = reader.number("SLURM_STEP_NUM_TASKS", reader.number("SLURM_NTASKS", 1));
  require_place(place, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS");
  place.local_rank = reader.number("SLURM_LOCALID", 0);
  // "4(x2),3": as many on this node; at least those that are known of.
  const std::string tasks = reader.text("SLURM_STEP_TASKS_PER_NODE");
  int64_t per_node = 0;
  const bool even =
      parse_int(tasks.substr(0, tasks.find('(')), per_node) && tasks.find(',') == std::string::npos;
  place.local_world = even ? per_node : place.local_rank + 1;
  const int64_t nodes =
      reader.number("SLURM_STEP_NUM_NODES", reader.number("SLURM_JOB_NUM_NODES", 0));
  const std::string list =
      reader.text("SLURM_STEP_NODELIST", reader.text("SLURM_JOB_NODELIST", "127.0.0.1"));
  place.address = nodes == 1 ? "127.0.0.1" : first_host(list);
  place.port = port_of(fmt::format("slurm {}.{}", reader.text("SLURM_JOB_ID", "0"),
                                   reader.text("SLURM_STEP_ID", "0")));
  place.restarts = reader.number("SLURM_RESTART_COUNT", 0);
  return place;
}

/// As the launcher that has started this process says it.
std::optional<RankPlace> place_of(const Reader& reader) {
  if (reader.has("RANK") && reader.has("WORLD_SIZE")) return torchrun_place(reader);
  if (reader.has("OMPI_COMM_WORLD_SIZE")) return open_mpi_place(reader);
  // srun --mpi=pmi2 sets both, and says more by itself.
  const bool step = reader.has("SLURM_STEP_ID") && reader.has("SLURM_PROCID");
  const std::optional<int64_t> size = reader.find("PMI_SIZE");
  if (size && !(step && reader.number("SLURM_STEP_NUM_TASKS", 0) == *size))
    return pmi_place(reader);
  if (step) return slurm_place(reader);
  return std::nullopt;
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

std::string first_host(const std::string& list) {
  std::string host;
  size_t at = 0;
  while (at < list.size() && list[at] != ',') {
    if (list[at] != '[') {
      host += list[at++];
      continue;
    }
    const size_t end = list.find_first_of("-,]", at + 1);
    const size_t close = list.find(']', at);
    if (end == std::string::npos || close == std::string::npos) break;
    host += list.substr(at + 1, end - at - 1);
    at = close + 1;
  }
  return host;
}

std::optional<RankPlace> find_rank(const Environment& environment) {
  const Reader reader(environment);
  std::optional<RankPlace> place = place_of(reader);
  if (!place || (place->world <= 1 && place->restarts == 0)) return std::nullopt;
  if (reader.has("MASTER_ADDR")) {
    place->address = reader.text("MASTER_ADDR");
    if (place->port == 0) place->port = kDefaultPort;
  }
  if (reader.has("MASTER_PORT")) place->port = reader.number("MASTER_PORT", kDefaultPort);
  if (place->port > 65535) fail("MASTER_PORT={} is no port", place->port);
  return place;
}

}  // namespace elastikv
