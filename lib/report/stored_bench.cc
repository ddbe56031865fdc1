#include "report/stored_bench.h"

#include <nlohmann/json.hpp>

#include "base/json_fields.h"

namespace elastikv {
namespace {

constexpr const char* kSchema = "elastikv-bench-1";

std::optional<BenchFigure> read_figure(const JsonFields& cell, std::string_view key) {
  if (!cell.has(key)) return std::nullopt;
  const JsonFields spread = cell.object(key);
  return BenchFigure{
      spread.number("median"), {spread.number("q1"), spread.number("q3")}, spread.integer("count")};
}

StoredBenchCell read_cell(const JsonFields& fields) {
  StoredBenchCell cell;
  cell.model = fields.string("model");
  cell.dtype = fields.string("dtype");
  cell.device = fields.string("device");
  cell.strategy = fields.string("strategy");
  cell.budget = fields.string("budget");
  cell.batch = fields.integer("batch");
  cell.prompt_tokens = fields.integer("prompt_tokens");
  cell.new_tokens = fields.integer("new_tokens");
  cell.skipped = fields.string("skipped", "");
  cell.latency = read_figure(fields, "total_seconds");
  cell.throughput = read_figure(fields, "throughput_tokens_per_second");
  return cell;
}

}  // namespace

StoredBench read_stored_bench(const std::filesystem::path& file) {
  const JsonFields root = JsonFields::read(file);
  if (root.string("schema", "") != kSchema) {
    root.fail_key("schema", "is not '" + std::string(kSchema) + "', which this version reads");
  }
  StoredBench bench;
  bench.name = root.string("name");
  bench.interrupted = root.boolean("interrupted", false);
  bench.fixture = root.object_or_empty("provenance").string("fixture", "");
  for (const JsonFields& model : root.objects("models")) {
    bench.models.push_back({model.string("label"), model.string("dtype"), model.string("device"),
                            model.string("device_name", ""),
                            model.boolean("random_weights", false)});
  }
  for (const JsonFields& cell : root.objects("cells")) bench.cells.push_back(read_cell(cell));
  return bench;
}

}  // namespace elastikv
