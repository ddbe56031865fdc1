// The input is, with cuts between them, a config.json, a generation_config.json, a
// processor_config.json and a preprocessor_config.json: all that is read of a model before its
// weights.

#include <vector>

#include "base/error.h"
#include "base/json_fields.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "models/end_tokens.h"
#include "models/registry.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::vector<std::string_view> files = fuzz::parts_of(fuzz::text_of(data, size), 4);
  const auto config = folder.write("config.json", files[0]);
  folder.write_unless_empty("generation_config.json", files[1]);
  folder.write_unless_empty("processor_config.json", files[2]);
  folder.write_unless_empty("preprocessor_config.json", files[3]);
  fuzz::accepted([&] { read_end_tokens(folder.path(), JsonFields::read(config)); });
  fuzz::accepted([&] {
    const ModelSummary summary = summarize_model(folder.path());
    fuzz::require(summary.vocab_size > 0 && summary.cache_bytes_per_token_fp16 > 0,
                  "sizes of a model are above zero");
  });
  fuzz::accepted([&] {
    const PublishedModel model = read_published_model(config);
    fuzz::require(model.parameters > 0, "a model has parameters");
  });
  fuzz::accepted([&] { read_image_prompt(folder.path()); });
  fuzz::accepted([&] { read_model_image_processor(folder.path()); });
  return 0;
}
