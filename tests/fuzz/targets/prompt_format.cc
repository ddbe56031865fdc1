// The input is a prompt format: a file of configs/prompts. What is read writes a conversation.

#include "text/prompt_format.h"

#include "base/error.h"
#include "fuzz/support/contract.h"
#include "fuzz/support/scratch_folder.h"

using namespace elastikv;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  const auto file = folder.write("form.yaml", fuzz::text_of(data, size));
  fuzz::accepted([&] {
    const PromptFormat format = read_prompt_format(file);
    const std::vector<Turn> turns{{"user", "What is <image>this?", 1}, {"assistant", " A cat. "}};
    for (const ImagePlace place : {ImagePlace::kDefault, ImagePlace::kBefore, ImagePlace::kAfter}) {
      fuzz::accepted([&] {
        const Prompt prompt = format.render(turns, /*answer_follows=*/true, place);
        std::string joined;
        for (const PromptChunk& chunk : prompt.chunks) {
          joined += chunk.kind == PromptChunk::Kind::kImage ? kImagePlaceholder : chunk.text;
        }
        fuzz::require(joined == prompt.text, "the chunks of a prompt are its text");
      });
    }
  });
  return 0;
}
