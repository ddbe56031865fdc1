#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "datasets/haystack.h"
#include "datasets/made_rows.h"

namespace elastikv {

// RULER's 13 tasks (C.-P. Hsieh et al., "RULER: What's the Real Context Size of Your Long-Context
// Language Models?", 2024), by the definitions of its repository's synthetic.yaml and the programs
// that it names. Keys and words are from lists of our own (ruler_words.h), and sentences end by a
// rule, not by a trained model.

/// A question about documents that are given with many others.
struct DocumentQuestion {
  std::string question;
  std::vector<std::string> answers{};
  std::vector<size_t> documents{};  ///< that it is about
  std::vector<size_t> near{};       ///< of the same article, which go first among the others
};

/// Questions and all the documents that they choose from.
struct DocumentQuestions {
  std::vector<DocumentQuestion> questions;
  std::vector<std::string> documents;
};

/// SQuAD 2.0's JSON without its questions that have no answer, and HotpotQA's. Error for others.
DocumentQuestions read_squad(const std::filesystem::path& file);
DocumentQuestions read_hotpotqa(const std::filesystem::path& file);

/// What the tasks are made of.
struct RulerMaterial {
  Haystack essay{};  ///< of the tasks that hide something in a text
  std::optional<DocumentQuestions> squad{};
  std::optional<DocumentQuestions> hotpotqa{};
};

/// "niah_single_1" to "qa_2", in RULER's order.
const std::vector<std::string>& ruler_task_names();
/// Those for which there is material: "qa_1" needs SQuAD, "qa_2" HotpotQA.
std::vector<std::string> ruler_tasks_of(const RulerMaterial& material);

/// A row of a task. Error for one that is not known, or has no material, or does not fit.
MadeRow make_ruler_row(const std::string& task, const RulerMaterial& material,
                       const MadeTarget& target, uint64_t seed, int64_t row);

/// A needle in a haystack at a depth in percent: RULER's question for one number, as
/// "niah_single_1" has it.
MadeRow make_needle_row(const Haystack& haystack, double depth, const MadeTarget& target,
                        uint64_t seed, int64_t row);

}  // namespace elastikv
