#include "sweep/cell.h"

namespace elastikv {

std::string_view EngineIdentity::difference(const EngineIdentity& other) const {
  if (weights != other.weights) return "other weights";
  if (tokenizer != other.tokenizer) return "another tokenizer";
  if (image_processing != other.image_processing) return "other image processing";
  if (prompt_format != other.prompt_format || prompt_signature != other.prompt_signature)
    return "another prompt format";
  return "";
}

}  // namespace elastikv
