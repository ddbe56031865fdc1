// The input is, with cuts between them, a config.json, a tokenizer_config.json, a
// chat_template.json and a chat_template.jinja: what the form of a checkpoint's prompts is made of.

#include <vector>

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"
#include "text/prompt_writer.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::vector<std::string_view> files = fuzz::parts_of(fuzz::text_of(data, size), 4);
  folder.write_unless_empty("config.json", files[0]);
  folder.write_unless_empty("tokenizer_config.json", files[1]);
  folder.write_unless_empty("chat_template.json", files[2]);
  folder.write_unless_empty("chat_template.jinja", files[3]);
  for (const bool takes_images : {true, false}) {
    fuzz::accepted([&] {
      const auto writer =
          make_prompt_writer({folder.path(), takes_images, -1, nullptr}, PromptSettings());
      writer->write({{"user", "What is it?", takes_images ? 1 : 0}});
    });
  }
  return 0;
}
