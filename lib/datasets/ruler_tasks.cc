#include "datasets/ruler_tasks.h"

#include <array>

#include "base/error.h"
#include "base/nearest_name.h"
#include "datasets/ruler_parts.h"

namespace elastikv {
namespace {

using Hay = NeedleHaystack;
using Kind = NeedleKind;

struct NamedNeedles {
  const char* name;
  NeedleTask needles;
};

constexpr std::array<NamedNeedles, 8> kNeedleTasks{
    {{"niah_single_1", {Hay::kNoise, Kind::kWords, Kind::kNumbers, 1, 1, 1}},
     {"niah_single_2", {Hay::kText, Kind::kWords, Kind::kNumbers, 1, 1, 1}},
     {"niah_single_3", {Hay::kText, Kind::kWords, Kind::kUuids, 1, 1, 1}},
     {"niah_multikey_1", {Hay::kText, Kind::kWords, Kind::kNumbers, 4, 1, 1}},
     {"niah_multikey_2", {Hay::kNeedles, Kind::kWords, Kind::kNumbers, 1, 1, 1}},
     {"niah_multikey_3", {Hay::kNeedles, Kind::kUuids, Kind::kUuids, 1, 1, 1}},
     {"niah_multivalue", {Hay::kText, Kind::kWords, Kind::kNumbers, 1, 4, 1}},
     {"niah_multiquery", {Hay::kText, Kind::kWords, Kind::kNumbers, 4, 1, 4}}}};

constexpr const char* kSquad = "qa_1";
constexpr const char* kHotpotQa = "qa_2";

const DocumentQuestions& needed(const std::optional<DocumentQuestions>& questions,
                                const std::string& task, const char* what) {
  if (!questions) fail("task '{}' asks questions of {}, whose file is not given", task, what);
  return *questions;
}

}  // namespace

const std::vector<std::string>& ruler_task_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const NamedNeedles& task : kNeedleTasks) all.emplace_back(task.name);
    for (const char* name : {"vt", "cwe", "fwe", kSquad, kHotpotQa}) all.emplace_back(name);
    return all;
  }();
  return names;
}

std::vector<std::string> ruler_tasks_of(const RulerMaterial& material) {
  std::vector<std::string> names;
  for (const std::string& name : ruler_task_names()) {
    if ((name == kSquad && !material.squad) || (name == kHotpotQa && !material.hotpotqa)) continue;
    names.push_back(name);
  }
  return names;
}

MadeRow make_ruler_row(const std::string& task, const RulerMaterial& material,
                       const MadeTarget& target, uint64_t seed, int64_t row) {
  const uint64_t own = seed_of_row(seed, task, target.length, row);
  for (const NamedNeedles& known : kNeedleTasks) {
    if (task == known.name) return make_needles(task, known.needles, material.essay, target, own);
  }
  if (task == "vt") return make_variables(task, target, own);
  if (task == "cwe") return make_common_words(task, target, own);
  if (task == "fwe") return make_frequent_words(task, target, own);
  const auto number = static_cast<size_t>(row);
  if (task == kSquad)
    return make_question(task, needed(material.squad, task, "SQuAD"), number, target, own);
  if (task == kHotpotQa)
    return make_question(task, needed(material.hotpotqa, task, "HotpotQA"), number, target, own);
  fail("RULER has no task '{}'{}", task, suggestion(task, ruler_task_names()));
}

MadeRow make_needle_row(const Haystack& haystack, double depth, const MadeTarget& target,
                        uint64_t seed, int64_t row) {
  constexpr const char* kTask = "needle";
  MadeRow made =
      make_needle_at(kTask, haystack, depth, target, seed_of_row(seed, kTask, target.length, row));
  made.depth = depth;
  made.target = target.length;
  return made;
}

}  // namespace elastikv
