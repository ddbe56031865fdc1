#include "bench/output.h"

#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/device.h"
#include "base/files.h"
#include "base/version.h"
#include "report/table_forms.h"
#include "text/json_text.h"

namespace elastikv {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMebibyte = 1 << 20;

std::string model_name(const BenchModelResult& model) {
  return fmt::format("{}-{}", model.model.label, model.model.dtype) +
         (model.model.device == "cpu" ? "" : fmt::format("-{}", model.model.device));
}

/// "1.234", or "-" for what was not measured.
std::string figure(double value) { return value > 0 ? short_number(value) : "-"; }
std::string milliseconds(double seconds) { return figure(seconds * 1e3); }
std::string mebibytes(int64_t bytes) {
  return bytes > 0 ? short_number(static_cast<double>(bytes) / kMebibyte) : "-";
}

std::vector<std::string> labels_of(const BenchModelResult& model, const BenchCell& cell) {
  return {model_name(model), cell.strategy.label, cell.budget.text(), std::to_string(cell.batch),
          cell.lengths.text()};
}

Json spread_json(const Spread& spread) {
  if (spread.count == 0) return nullptr;
  return {
      {"median", spread.median}, {"q1", spread.low}, {"q3", spread.high}, {"count", spread.count}};
}

Json need_json(const MemoryNeed& need) {
  return {{"weights", need.weights},
          {"loading", need.loading},
          {"caches", need.caches},
          {"activations", need.activations},
          {"total", need.total()}};
}

Json run_json(const BenchRun& run) {
  return {{"prefill", run.prefill_seconds},         {"statistics", run.statistics_seconds},
          {"compression", run.compression_seconds}, {"reserve", run.reserve_seconds},
          {"decode", run.decode_seconds()},         {"total", run.total_seconds()}};
}

Json cell_json(const BenchModelResult& model, const BenchResult& result) {
  const BenchCell& cell = result.cell;
  Json json;
  json["model"] = model.model.label;
  json["dtype"] = model.model.dtype;
  json["device"] = model.model.device;
  json["batch"] = cell.batch;
  json["shared_prompt"] = cell.shared_prompt;
  json["prompt_tokens"] = cell.lengths.prompt_tokens;
  json["new_tokens"] = cell.lengths.new_tokens;
  json["strategy"] = cell.strategy.label;
  json["preset"] = cell.strategy.preset;
  json["budget"] = cell.budget.text();
  json["skipped"] = result.skipped.empty() ? Json(nullptr) : Json(result.skipped);
  json["needed_bytes"] = need_json(result.need);
  if (result.runs.empty()) return json;
  json["kept_slots"] = {{"after_prompt", result.kept_slots}, {"at_end", result.kept_slots_end}};
  json["cache_bytes"] = {{"after_prompt", result.cache_bytes_prompt},
                         {"at_end", result.cache_bytes_end},
                         {"allocated", result.cache_bytes_allocated}};
  json["memory_bytes"] = {{"before", result.memory_before}, {"peak", result.memory_peak}};
  json["prefill_seconds"] = spread_json(result.prefill_seconds());
  json["prefill_tokens_per_second"] = spread_json(result.prefill_tokens_per_second());
  json["statistics_seconds"] = spread_json(result.statistics_seconds());
  json["compression_seconds"] = spread_json(result.compression_seconds());
  const bool steps = cell.lengths.new_tokens > 1;
  json["decode_step_seconds"] = spread_json(result.step_seconds());
  json["decode_tokens_per_second"] =
      steps ? spread_json(result.decode_tokens_per_second()) : Json(nullptr);
  json["total_seconds"] = spread_json(result.total_seconds());
  json["throughput_tokens_per_second"] = spread_json(result.throughput());
  json["bound"] = !steps ? Json(nullptr)
                         : Json({{"weight_bytes", result.step_weight_bytes},
                                 {"cache_bytes", result.step_cache_bytes},
                                 {"cache_bytes_read", result.step_read_bytes},
                                 {"operations", result.step_operations},
                                 {"step_seconds", result.bound_seconds},
                                 {"measured_over_bound", result.times_bound()}});
  json["runs_seconds"] = Json::array();
  for (const BenchRun& run : result.runs) json["runs_seconds"].push_back(run_json(run));
  return json;
}

}  // namespace

Table bench_table(const BenchOutcome& outcome) {
  Table table;
  table.header = {"model",     "strategy",      "budget",    "batch",          "tokens",
                  "kept",      "prefill tok/s", "scores ms", "compression ms", "decode ms",
                  "quartiles", "bound ms",      "x bound",   "decode tok/s",   "throughput",
                  "cache MiB", "peak MiB"};
  for (const BenchModelResult& model : outcome.models) {
    for (const BenchResult& result : model.cells) {
      std::vector<std::string> row = labels_of(model, result.cell);
      if (result.runs.empty()) {
        // The reason stands in the notes.
        row.emplace_back(result.skipped.empty() ? "not run" : "too large");
        row.resize(table.header.size(), "-");
      } else {
        const Spread step = result.step_seconds();
        row.push_back(std::to_string(result.kept_slots));
        row.push_back(figure(result.prefill_tokens_per_second().median));
        row.push_back(milliseconds(result.statistics_seconds().median));
        row.push_back(milliseconds(result.compression_seconds().median));
        row.push_back(milliseconds(step.median));
        row.push_back(step.count == 0
                          ? "-"
                          : fmt::format("{}..{}", milliseconds(step.low), milliseconds(step.high)));
        row.push_back(milliseconds(result.bound_seconds));
        row.push_back(figure(result.times_bound()));
        row.push_back(figure(result.decode_tokens_per_second().median));
        row.push_back(figure(result.throughput().median));
        row.push_back(mebibytes(result.cache_bytes_end));
        row.push_back(mebibytes(result.memory_peak));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table plan_table(const BenchOutcome& outcome) {
  Table table;
  table.header = {"model",      "strategy",      "budget",         "batch",
                  "tokens",     "weights MiB",   "caches MiB",     "activations MiB",
                  "needed MiB", "available MiB", "step reads MiB", "fits"};
  for (const BenchModelResult& model : outcome.models) {
    for (const BenchResult& result : model.cells) {
      std::vector<std::string> row = labels_of(model, result.cell);
      row.push_back(mebibytes(result.need.weights));
      row.push_back(mebibytes(result.need.caches));
      row.push_back(mebibytes(result.need.activations));
      row.push_back(mebibytes(result.need.total()));
      row.push_back(mebibytes(model.available));
      // At the last step: what the cache holds then. The prompt that is also counted is gone.
      const BenchCell& cell = result.cell;
      const auto element_bytes =
          static_cast<int64_t>(c10::elementSize(parse_dtype(model.model.dtype)));
      int64_t cache = result.need.caches;
      if (!cell.budget.everything() && !(cell.budget.keep && *cell.budget.keep >= 1)) {
        cache -=
            cell.lengths.prompt_tokens * model.model.shape.cache_bytes_per_token(element_bytes);
      }
      row.push_back(mebibytes(static_cast<int64_t>(result.step_weight_bytes) + cache));
      row.emplace_back(result.skipped.empty() ? "yes" : "no");
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table figures_table(const BenchOutcome& outcome) {
  Table table;
  table.header = {"model",           "dtype",
                  "device",          "strategy",
                  "budget",          "batch",
                  "prompt_tokens",   "new_tokens",
                  "skipped",         "kept_slots",
                  "kept_slots_end",  "cache_bytes_prompt",
                  "cache_bytes_end", "cache_bytes_allocated",
                  "memory_before",   "memory_peak",
                  "bound_seconds",   "times_bound"};
  const std::vector<std::pair<std::string, Spread (BenchResult::*)() const>> spreads{
      {"prefill_seconds", &BenchResult::prefill_seconds},
      {"prefill_tokens_per_second", &BenchResult::prefill_tokens_per_second},
      {"statistics_seconds", &BenchResult::statistics_seconds},
      {"compression_seconds", &BenchResult::compression_seconds},
      {"decode_step_seconds", &BenchResult::step_seconds},
      {"decode_tokens_per_second", &BenchResult::decode_tokens_per_second},
      {"total_seconds", &BenchResult::total_seconds},
      {"throughput_tokens_per_second", &BenchResult::throughput}};
  for (const auto& [name, of] : spreads) {
    table.header.push_back(name);
    table.header.push_back(name + "_q1");
    table.header.push_back(name + "_q3");
  }
  for (const BenchModelResult& model : outcome.models) {
    for (const BenchResult& result : model.cells) {
      const BenchCell& cell = result.cell;
      std::vector<std::string> row{model.model.label,
                                   model.model.dtype,
                                   model.model.device,
                                   cell.strategy.label,
                                   cell.budget.text(),
                                   std::to_string(cell.batch),
                                   std::to_string(cell.lengths.prompt_tokens),
                                   std::to_string(cell.lengths.new_tokens),
                                   result.skipped};
      if (result.runs.empty()) {
        row.resize(table.header.size());
      } else {
        for (const int64_t value :
             {result.kept_slots, result.kept_slots_end, result.cache_bytes_prompt,
              result.cache_bytes_end, result.cache_bytes_allocated, result.memory_before,
              result.memory_peak})
          row.push_back(std::to_string(value));
        row.push_back(long_number(result.bound_seconds));
        row.push_back(long_number(result.times_bound()));
        for (const auto& [name, of] : spreads) {
          const Spread spread = (result.*of)();
          row.push_back(long_number(spread.median));
          row.push_back(long_number(spread.low));
          row.push_back(long_number(spread.high));
        }
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

std::string bench_notes(const BenchOutcome& outcome) {
  std::string notes;
  if (outcome.config.shared_prompt)
    notes += "The rows of a batch share one prompt: its prefill and what they keep of its cache.\n";
  for (const BenchModelResult& model : outcome.models) {
    if (model.bandwidth.buffer_bytes > 0) {
      notes += fmt::format(
          "{}: {} parameters; measured over {}: reading {} GB/s, copying {} GB/s (bytes read and "
          "written); products of {} rows: {} GFLOP/s; {}, {} threads.\n",
          model_name(model), model.parameters, bytes_text(model.bandwidth.buffer_bytes),
          short_number(model.bandwidth.read_bytes_per_second / 1e9),
          short_number(model.bandwidth.copy_bytes_per_second / 1e9), kManyRows,
          short_number(model.operations_per_second / 1e9),
          processor_name(parse_device(model.model.device)), outcome.threads);
    }
    if (const int64_t steps = model.graphs.launched + model.graphs.direct; steps > 0) {
      notes += fmt::format("{}: {} of {} decode steps were launched as graphs.\n",
                           model_name(model), model.graphs.launched, steps);
    }
    for (const BenchResult& result : model.cells) {
      if (result.skipped.empty()) continue;
      notes += fmt::format("{}: batch {} of {} under {} at {} {}.\n", model_name(model),
                           result.cell.batch, result.cell.lengths.text(),
                           result.cell.strategy.label, result.cell.budget.text(), result.skipped);
    }
  }
  return notes;
}

std::string bench_json(const BenchOutcome& outcome) {
  Json json;
  json["schema"] = "elastikv-bench-1";
  json["program"] = version();
  json["name"] = outcome.config.name;
  json["config"] = Json::parse(outcome.config.json());
  json["config_hash"] = outcome.config.hash();
  json["interrupted"] = outcome.interrupted;
  Json provenance = Json::object();
  for (const auto& [key, value] : outcome.provenance) provenance[key] = value;
  provenance["libtorch"] = libtorch_version();
  provenance["cpu"] = processor_name(c10::Device(c10::DeviceType::CPU));
  provenance["threads"] = outcome.threads;
  json["provenance"] = std::move(provenance);
  json["models"] = Json::array();
  json["cells"] = Json::array();
  for (const BenchModelResult& model : outcome.models) {
    const c10::Device device = parse_device(model.model.device);
    json["models"].push_back(
        {{"label", model.model.label},
         {"dtype", model.model.dtype},
         {"device", model.model.device},
         {"device_name", processor_name(device)},
         {"random_weights", model.model.random_weights()},
         {"parameters", model.parameters},
         {"weights_bytes", model.weights.weights},
         {"available_bytes", model.available},
         {"cache_bytes_per_token", model.model.shape.cache_bytes_per_token(static_cast<int64_t>(
                                       c10::elementSize(parse_dtype(model.model.dtype))))},
         {"bandwidth",
          {{"buffer_bytes", model.bandwidth.buffer_bytes},
           {"read_bytes_per_second", model.bandwidth.read_bytes_per_second},
           {"copy_bytes_per_second", model.bandwidth.copy_bytes_per_second}}},
         {"operations_per_second", model.operations_per_second}});
    if (model.graphs.launched + model.graphs.direct > 0) {
      json["models"].back()["graphs"] = {{"recorded", model.graphs.recorded},
                                         {"steps_launched", model.graphs.launched},
                                         {"steps_direct", model.graphs.direct}};
    }
    for (const BenchResult& result : model.cells) json["cells"].push_back(cell_json(model, result));
  }
  return json_text(std::move(json), /*indent=*/1) + "\n";
}

std::vector<std::string> write_bench(const BenchOutcome& outcome,
                                     const std::filesystem::path& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  std::vector<std::string> files{"bench.md"};
  write_file_atomically(
      folder / files.front(),
      fmt::format("# {}\n\n{}\n{}", outcome.config.name,
                  bench_table(outcome).markdown(/*left_columns=*/2), bench_notes(outcome)));
  for (std::string& file : write_table(folder, "bench", figures_table(outcome)))
    files.push_back(std::move(file));
  files.emplace_back("bench.json");
  write_file_atomically(folder / files.back(), bench_json(outcome));
  return files;
}

}  // namespace elastikv
