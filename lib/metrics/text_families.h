#pragma once

#include <vector>

#include "metrics/text_metric.h"

namespace elastikv {

// Each is defined in the file of its metrics.

TextFamily pltrdy_rouge();
TextFamily google_rouge();

/// All of them, in the order of tables: a new one has its line here.
inline std::vector<TextFamily> text_families() {
  return {
      pltrdy_rouge(),
      google_rouge(),
  };
}

}  // namespace elastikv
