#pragma once

#include <string>

#include "base/yaml_fields.h"

namespace elastikv {

/// Puts a setting of the command line into a sweep's fields. Beyond YamlFields::with: the first
/// part of the key may be a strategy's name, which means its entry's `set`
/// ("elastic.selection.sinks"); keys of models and data without an index go to every entry; a
/// strategy that is only named becomes a mapping where a key goes into it; index 0 is the one thing
/// that is no list. A key that an entry has under its earlier name is put there.
YamlFields with_sweep_setting(const YamlFields& root, const std::string& key,
                              const std::string& value);

}  // namespace elastikv
