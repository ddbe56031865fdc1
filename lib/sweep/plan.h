#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "sweep/cell.h"
#include "sweep/config.h"

namespace elastikv {

/// The cells of one model and one data set: what shares images and prefills.
struct CellGroup {
  ModelChoice model;
  std::string model_name;  // label and dtype
  DataOptions data;
  /// Metrics of texts that other data sets of the sweep ask for and this one does not.
  std::set<std::string> metrics_of_others;
  /// The full cache first (hidden when the sweep does not list it), then strategy by strategy,
  /// budget by budget, as listed.
  std::vector<Cell> cells;

  /// How many of the cells a table shows.
  int64_t shown_cells() const;
};

/// A model's name in cells and tables: its label and dtype.
std::string model_name(const ModelChoice& model);

/// Metrics of texts that other data sets of a sweep ask for and this one does not.
std::set<std::string> metrics_of_others(const SweepConfig& config, const DataOptions& data);

/// Every cell of a sweep: models x data sets x strategies x budgets, without those that it
/// excludes. The preset "full" has no budget and is one cell; where it is excluded, it runs hidden
/// as the reference of the others. A model and data set of which everything is excluded has no
/// group.
std::vector<CellGroup> plan_cells(const SweepConfig& config);

/// When the caches of the cells are compressed, each moment once, the latest first: as many times a
/// prompt is prefilled.
std::vector<CompressAt> moments_of(std::span<const Cell> cells);

/// What a group costs, counted without loading anything.
struct GroupCost {
  int64_t samples = 0;
  int64_t evaluations = 0;        // samples x cells
  int64_t prefills = 0;           // one per sample and moment, shared by the cells; of those before
                                  // the question one per context
  int64_t contexts = 0;           // that several samples ask about, where that is shared
  int64_t asking = 0;             // samples that ask about these
  int64_t decoded_tokens = 0;     // at most: samples x cells x max_new_tokens
  int64_t answer_characters = 0;  // of the answers and the options that are scored, per cell
};
/// Of the samples that can be evaluated; `samples` counts the others too.
/// `problems`: by sample, empty for those that can; or no text at all, where all can. `contexts`:
/// SampleCheck::contexts.
GroupCost cost_of(const CellGroup& group, const DataSet& data,
                  std::span<const std::string> problems, const SweepConfig& config,
                  std::span<const std::string> contexts = {});

/// Everything that can change a record. Two records with the same key are interchangeable.
struct CellIdentity {
  EngineIdentity engine;
  std::string data_item;  // Sample::content
  std::string strategy;   // SampleEvaluator::strategy_text
  std::string budget;     // BudgetChoice::text
  std::string device;     // "cpu", "cuda": their arithmetic differs in the last bits
  std::string dtype;
  std::string evaluation;  // of EvaluationSettings and of the text metrics and their reference
  std::string batch;       // hash of all cells' strategies and budgets: they decode as one batch
  std::string program;     // ElastiKV's version
  std::string revisions;   // of the program's parts that it depends on (revisions_text)
};
std::string record_key(const CellIdentity& identity);

/// The settings part of CellIdentity.
std::string evaluation_text(const SweepConfig& config);

}  // namespace elastikv
