#include "sweep/header_difference.h"

#include <map>
#include <string_view>

#include <fmt/format.h>

#include "sweep/config.h"

namespace elastikv {
namespace {

/// The first key whose values differ between two maps that both have it.
template <typename Value>
const std::string* differing_key(const std::map<std::string, Value>& a,
                                 const std::map<std::string, Value>& b) {
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other != b.end() && other->second != value) return &key;
  }
  return nullptr;
}

std::string differing_data(const SweepHeader& a, const SweepHeader& b) {
  for (const auto& [name, set] : a.data) {
    const auto other = b.data.find(name);
    if (other == b.data.end()) return fmt::format("the data set {}", name);
    if (other->second.samples != set.samples) {
      if (other->second.samples.size() == set.samples.size())
        return fmt::format("other samples of {}", name);
      return fmt::format("other samples of {} ({}, not {})", name, set.samples.size(),
                         other->second.samples.size());
    }
    if (other->second.content != set.content) return fmt::format("another content of {}", name);
  }
  return a.data.size() == b.data.size() ? "" : "fewer data sets";
}

std::string differing_engine(const SweepHeader& a, const SweepHeader& b) {
  for (const auto& [model, engine] : a.engines) {
    const auto other = b.engines.find(model);
    if (other == b.engines.end()) continue;
    const std::string_view what = engine.difference(other->second);
    if (!what.empty()) return fmt::format("{} of model '{}'", what, model);
  }
  return "";
}

}  // namespace

std::string header_difference(const SweepHeader& a, const SweepHeader& b) {
  if (a.name != b.name) return fmt::format("another name, '{}' and not '{}'", b.name, a.name);
  if (a.records_hash != b.records_hash)
    return fmt::format("other settings ({})", differing_settings(b.config, a.config));
  if (a.program != b.program)
    return fmt::format("records of ElastiKV {}, not {}", b.program, a.program);
  if (const std::string* part = differing_key(a.revisions, b.revisions)) {
    return fmt::format("records of another {} (revision {}, not {})", *part, b.revisions.at(*part),
                       a.revisions.at(*part));
  }
  if (std::string data = differing_data(b, a); !data.empty()) return data;
  if (const std::string* strategy = differing_key(a.strategies, b.strategies))
    return fmt::format("other parameters of strategy '{}'", *strategy);
  if (std::string engine = differing_engine(b, a); !engine.empty()) return engine;
  if (a.shard && b.shard && a.shard->count != b.shard->count) {
    return fmt::format("one of {} shards ({}), not of {}", b.shard->count, b.shard->text(),
                       a.shard->count);
  }
  return "";
}

}  // namespace elastikv
