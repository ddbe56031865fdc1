#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/yaml_fields.h"
#include "strategies/component.h"

namespace elastikv {

/// The parameters of one component of a preset: `kind` alone ("evict") or a mapping with a `kind`
/// and what that kind takes. Every failure is an Error that names the preset's file and line.
class Parameters {
 public:
  explicit Parameters(YamlFields node) : node_(std::move(node)) {}

  std::string kind() const;
  /// Error for a parameter that this kind does not take, with the nearest that it does.
  void require_known(std::vector<std::string> known) const;

  /// An integer of at least `least`.
  int64_t integer(std::string_view key, int64_t otherwise, int64_t least) const;
  /// Any integer.
  int64_t integer(std::string_view key, int64_t otherwise) const;
  /// A number within [least, most].
  double number(std::string_view key, double otherwise, double least, double most) const;
  bool flag(std::string_view key, bool otherwise) const;
  bool has(std::string_view key) const;
  /// The parameters of a component within this one; Error when it is missing.
  Parameters child(std::string_view key) const;
  /// A number from 0 to 1.
  double share(std::string_view key, double otherwise) const;
  Granularity granularity(Granularity otherwise) const;
  /// One of `known`; Error with the nearest of them.
  std::string choice(std::string_view key, std::string_view otherwise,
                     const std::vector<std::string>& known) const;

  /// Throws an Error at the line of `kind`.
  [[noreturn]] void fail_kind(const std::string& problem) const;

 private:
  YamlFields node_;
};

}  // namespace elastikv
