#pragma once

#include <memory>

#include "text/chat_template.h"
#include "text/prompt_writer.h"

namespace elastikv {

/// The writer of a checkpoint's chat template, rendered as transformers' apply_chat_template
/// renders it: messages with the keys role and content, and the tokens that template_tokens()
/// names.
///
/// How the template wants contents (as texts, or as lists of parts) and how it writes an image is
/// found by rendering short probes. An image is a part {"type": "image"}. Where a turn's text
/// places images, the parts follow it; a template that moves images to the front all the same
/// (LLaVA-1.5's) gets the text with the images spelled in it. A line end that follows `<image>`
/// in data and that the template writes itself is not written twice.
std::unique_ptr<PromptWriter> make_template_writer(ChatTemplate found, const PromptModel& model,
                                                   const PromptSettings& settings);

}  // namespace elastikv
