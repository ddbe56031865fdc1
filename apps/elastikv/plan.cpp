#include "sweep/plan.h"

#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "report/table.h"
#include "sweep/engine.h"
#include "sweep/runner.h"
#include "sweep_options.h"
#include "verbs.h"

namespace elastikv {
namespace {

int plan(const SweepOptions& options) {
  const SweepConfig config = options.read();
  const std::unique_ptr<Engines> engines = torch_engines();
  const std::vector<CellGroup> groups = plan_cells(config);
  for (const CellGroup& group : groups) {
    engines->check(group.model, group.cells, config.evaluation());
  }
  const SweepData data(config, *engines);
  for (const CellGroup& group : groups) {
    engines->check_samples(group.model, group.cells, data.of(group).samples, config.evaluation());
  }

  Table cells;
  cells.header = {"cell", "strategy", "budget", "samples"};
  Table costs;
  costs.header = {"model",
                  "data set",
                  "samples",
                  "cells",
                  "prefills",
                  "evaluations",
                  "new tokens, at most",
                  "answer characters per cell"};
  GroupCost total;
  int64_t shown = 0;
  for (const CellGroup& group : groups) {
    const DataSet& set = data.of(group);
    const GroupCost cost = cost_of(group, set, config);
    for (const Cell& cell : group.cells) {
      cells.rows.push_back({cell.id, cell.strategy.preset,
                            cell.hidden ? "reference only" : cell.budget.text(),
                            std::to_string(cost.samples)});
    }
    costs.rows.push_back({group.model_name, group.data.name, std::to_string(cost.samples),
                          std::to_string(group.cells.size()), std::to_string(cost.prefills),
                          std::to_string(cost.evaluations), std::to_string(cost.decoded_tokens),
                          std::to_string(cost.answer_characters)});
    shown += group.shown_cells();
    total.samples += cost.samples;
    total.evaluations += cost.evaluations;
    total.prefills += cost.prefills;
    total.decoded_tokens += cost.decoded_tokens;
  }
  fmt::print("{}\n{}\n", cells.markdown(/*left_columns=*/3), costs.markdown(/*left_columns=*/2));
  fmt::print(
      "Sweep '{}': {} cells in tables, {} evaluations of {} samples with {} prefills, at most {} "
      "new tokens; output in {}.\n",
      config.name, shown, total.evaluations, total.samples, total.prefills, total.decoded_tokens,
      config.output.string());
  return 0;
}

}  // namespace

void add_plan_verb(CLI::App& app, Verb& chosen) {
  const auto options = std::make_shared<SweepOptions>();
  CLI::App* verb = app.add_subcommand(
      "plan", "Show the cells of a sweep and what they cost; loads no weights and writes nothing.");
  add_sweep_options(*verb, options);
  verb->callback([options, &chosen] { chosen = [options] { return plan(*options); }; });
}

}  // namespace elastikv
