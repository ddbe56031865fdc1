// Prompts by the checkpoint's own chat template, and which form is chosen.
#include "text/prompt_writer.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "golden_lines.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// Images where the parts have them, blanks by what comes first, a name of its own for roles.
constexpr const char* kInOrder =
    R"({% for m in messages %}[{{ m['role'] | upper }}]{% if m['content'][0]['type'] == 'image' %}:{% else %}: {% endif %})"
    R"({% for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}<image>{% endif %}{% endfor %}</s>)"
    R"({% endfor %}{% if add_generation_prompt %}[MODEL]:{% endif %})";

/// Every image first, each on a line, as LLaVA-1.5's.
constexpr const char* kImagesFirst =
    R"({% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'] | upper + ': ' }}{% endif %})"
    R"({% for part in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %})"
    R"({% for part in m['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' ' }}{% endfor %}{% endfor %})"
    R"({% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %})";

/// Texts alone, with a BOS, a date and a switch, as Llama 3.2's and Qwen3's have them.
constexpr const char* kTextsOnly =
    R"({{- bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] | trim %}{%- set messages = messages[1:] %})"
    R"({%- else %}{%- set system = '' %}{%- endif %}{{- 'Today: ' + strftime_now('%d %b %Y') + '\n' + system + '\n' }})"
    R"({%- for m in messages %}{{- '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{%- endfor %})"
    R"({%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- if enable_thinking is defined and not enable_thinking %}{{- '<think></think>' }}{%- endif %}{%- endif %})";

class PromptWriterTest : public testing::Test {
 protected:
  std::unique_ptr<PromptWriter> writer(const std::string& text, bool images,
                                       const PromptSettings& settings = {}) {
    folder_.write("chat_template.jinja", text);
    return make_prompt_writer({folder_.path(), images, -1, nullptr}, settings);
  }

  std::string asked(const std::string& text, const Turn& turn, ImagePlace place = {}) {
    PromptSettings settings;
    settings.place = place;
    return writer(text, /*images=*/true, settings)->write({turn}).text;
  }

  std::string file(const char* name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(PromptWriterTest, ATemplateThatNobodyKnowsIsRendered) {
  const auto unknown = writer(kInOrder, /*images=*/true);
  const Prompt prompt = unknown->write({{"user", "What is it?", 1}});
  EXPECT_EQ(prompt.text, "[USER]:<image>What is it?</s>[MODEL]:");
  EXPECT_EQ(prompt.chunks,
            (std::vector<PromptChunk>{{PromptChunk::Kind::kText, "[USER]:"},
                                      {PromptChunk::Kind::kImage, ""},
                                      {PromptChunk::Kind::kText, "What is it?</s>[MODEL]:"}}));
  EXPECT_EQ(unknown->name(), "chat-template");
  const std::string hash = find_chat_template(folder_.path(), true)->hash;
  EXPECT_EQ(unknown->source(),
            "the chat template of " + file("chat_template.jinja") + " (hash " + hash + ")");
  EXPECT_EQ(unknown->signature(), "prompt:chat_template.jinja#" + hash.substr(0, 8));
  EXPECT_EQ(unknown
                ->write({{"user", "Who?", 0}, {"assistant", "An owl.", 0}},
                        /*answer_follows=*/false)
                .text,
            "[USER]: Who?</s>[ASSISTANT]: An owl.</s>");
}

TEST_F(PromptWriterTest, CopiesOfAFileAreTheSameTemplate) {
  const std::string text = read_file(std::string(kStampvlm) + "/chat_template.jinja");
  std::string crlf;
  for (const char c : text) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const std::vector<Turn> turns{{"user", "What is it?", 1}};
  const auto first = writer(text, /*images=*/true);
  const std::string expected = prompt_format("stampvlm").render(turns).text;
  EXPECT_EQ(first->write(turns).text, expected);
  for (const std::string& copy :
       {crlf, "\xef\xbb\xbf" + text, text + "\n", "\xef\xbb\xbf" + crlf}) {
    const auto other = writer(copy, /*images=*/true);
    EXPECT_EQ(other->signature(), first->signature());
    EXPECT_EQ(other->write(turns).text, expected);
  }
}

// processing_utils.py and tokenization_utils_base.py of transformers 5.17.
TEST_F(PromptWriterTest, FilesAreLookedThroughInTransformersOrder) {
  const auto found = [&](bool images) { return find_chat_template(folder_.path(), images)->text; };
  EXPECT_FALSE(find_chat_template(folder_.path(), /*takes_images=*/true));
  folder_.write("tokenizer_config.json", Json{{"chat_template", "tokenizer"}}.dump());
  EXPECT_EQ(found(true), "tokenizer");
  EXPECT_EQ(found(false), "tokenizer");
  folder_.write("chat_template.jinja", "jinja");
  EXPECT_EQ(found(true), "jinja");
  EXPECT_EQ(found(false), "jinja");
  folder_.write("chat_template.json", Json{{"chat_template", "json"}}.dump());
  EXPECT_EQ(found(true), "json");
  EXPECT_EQ(found(false), "jinja");
  folder_.write("processor_config.json", Json{{"chat_template", nullptr}}.dump());
  EXPECT_EQ(found(true), "json");
  folder_.write("processor_config.json", Json{{"chat_template", "processor"}}.dump());
  EXPECT_EQ(found(true), "processor");
  EXPECT_EQ(found(false), "jinja");

  std::filesystem::remove(folder_.path() / "chat_template.jinja");
  const Json named = {{{"name", "tool_use"}, {"template", "tools"}},
                      {{"name", "default"}, {"template", "plain"}}};
  folder_.write("tokenizer_config.json", Json{{"chat_template", named}}.dump());
  EXPECT_EQ(found(false), "plain");
  folder_.write("tokenizer_config.json", Json{{"chat_template", {named[0]}}}.dump());
  EXPECT_ERROR(find_chat_template(folder_.path(), false),
               file("tokenizer_config.json") +
                   ": key 'chat_template' has no template called 'default' (only tool_use); name a "
                   "prompt format instead");
}

TEST_F(PromptWriterTest, ImagesStandWhereTheQuestionHasThem) {
  EXPECT_EQ(asked(kInOrder, {"user", "a <image> b<image>", 0}),
            "[USER]: a <image> b<image></s>[MODEL]:");
  EXPECT_EQ(asked(kInOrder, {"user", "What?", 2}, ImagePlace::kAfter),
            "[USER]: What?<image><image></s>[MODEL]:");
  EXPECT_EQ(asked(kInOrder, {"user", "<image>\nWhat?", 0}), "[USER]:<image>\nWhat?</s>[MODEL]:");
  // The template ends an image's line itself, as data of LLaVA's format do.
  EXPECT_EQ(asked(kImagesFirst, {"user", "What?", 1}), "USER: <image>\nWhat? ASSISTANT:");
  EXPECT_EQ(asked(kImagesFirst, {"user", "<image>\nWhat?", 0}), "USER: <image>\nWhat? ASSISTANT:");
  EXPECT_EQ(asked(kImagesFirst, {"user", "<image>\n<image>\nWhat?", 0}),
            "USER: <image>\n<image>\nWhat? ASSISTANT:");
  // It would move these to the front.
  EXPECT_EQ(asked(kImagesFirst, {"user", "What?", 1}, ImagePlace::kAfter),
            "USER: What?\n<image> ASSISTANT:");
  EXPECT_EQ(asked(kImagesFirst, {"user", "a <image> b", 0}), "USER: a <image> b ASSISTANT:");
}

TEST_F(PromptWriterTest, ImagesAreFoundByTheirToken) {
  const std::string qwen =
      R"({% for m in messages %}<|im_start|>{{ m.role }}
{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{% if p.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %})";
  folder_.write("tokenizer_config.json",
                R"({"extra_special_tokens": {"image_token": "<|image_pad|>"}})");
  const Prompt prompt =
      writer(qwen, /*images=*/true)->write({{"user", "a<image>b", 0}, {"user", "<image>", 0}});
  EXPECT_EQ(
      prompt.text,
      "<|im_start|>user\na<|vision_start|><image><|vision_end|>b<|im_end|>\n<|im_start|>user\n"
      "<|vision_start|><image><|vision_end|><|im_end|>\n");
  EXPECT_EQ(std::count_if(
                prompt.chunks.begin(), prompt.chunks.end(),
                [](const PromptChunk& chunk) { return chunk.kind == PromptChunk::Kind::kImage; }),
            2);
  // A text that spells the token would be an image that is none.
  EXPECT_ERROR(writer(qwen, true)->write({{"user", "what is <|image_pad|>?", 1}}),
               file("chat_template.jinja") +
                   ": the chat template wrote '<|image_pad|>', which stands for an image, 2 times "
                   "for 1 image");
}

TEST_F(PromptWriterTest, TextsDatesAndVariables) {
  folder_.write("tokenizer_config.json", R"({"bos_token": {"content": "<s>"}})");
  const std::vector<Turn> question{{"user", "Hi", 0}};
  const auto written = [&](const PromptSettings& settings) {
    return writer(kTextsOnly, /*images=*/false, settings)->write(question).text;
  };
  EXPECT_EQ(written({}), "<s>Today: 26 Jul 2024\n\n<|user|>Hi<|end|><|assistant|>");
  PromptSettings settings;
  settings.system = " Be brief. ";
  settings.date = "2025-01-03";
  settings.variables["enable_thinking"] = "false";
  EXPECT_EQ(written(settings),
            "<s>Today: 03 Jan 2025\nBe brief.\n<|user|>Hi<|end|><|assistant|><think></think>");
  const auto told = writer(kTextsOnly, false, settings);
  EXPECT_TRUE(told->signature().ends_with("|system:set|date:2025-01-03|enable_thinking:false"))
      << told->signature();
  EXPECT_TRUE(told->source().ends_with(", today being 2025-01-03")) << told->source();
  // A tokenizer's apply_chat_template adds no special tokens, a processor's does.
  EXPECT_FALSE(told->adds_special_tokens());
  EXPECT_TRUE(writer(kInOrder, true)->adds_special_tokens());

  settings.variables = {{"enable_thoughts", "false"}};
  EXPECT_ERROR_CONTAINS(writer(kTextsOnly, false, settings),
                        file("chat_template.jinja") +
                            ": this chat template reads no variable 'enable_thoughts'; it reads "
                            "enable_thinking");
  settings = {};
  settings.date = "2025-01-03";
  EXPECT_ERROR(writer(kInOrder, true, settings),
               file("chat_template.jinja") +
                   ": this chat template does not write today's date, so "
                   "that 'date' says nothing");
}

TEST_F(PromptWriterTest, WhatATemplateRefusesItSaysItself) {
  const std::string strict =
      "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not "
      "supported') }}{% endif %}{{ m.content }}{% endfor %}";
  PromptSettings settings;
  EXPECT_EQ(writer(strict, false)->write({{"user", "Hi", 0}}).text, "Hi");
  settings.system = "Be brief.";
  EXPECT_ERROR(writer(strict, false, settings)->write({{"user", "Hi", 0}}),
               file("chat_template.jinja") +
                   ": the chat template refuses this conversation: System role not supported");
  EXPECT_ERROR_CONTAINS(writer("{% for m in messages %}{{ m.content }}", false),
                        file("chat_template.jinja") + ":1: ");
  // What would be lost without a word.
  EXPECT_ERROR(writer("<s>{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}",
                      false, settings)
                   ->write({{"user", "Hi", 0}}),
               file("chat_template.jinja") +
                   ": this chat template does not write the text of a turn of the role 'system'");
  EXPECT_ERROR(writer(kInOrder, true)->write({}), "a prompt needs at least one turn");
}

TEST_F(PromptWriterTest, BytesThatAreNoTextAreReadAsATokenizerReadsThem) {
  EXPECT_EQ(asked(kInOrder, {"user", "a\xff", 1}), "[USER]:<image>a\uFFFD</s>[MODEL]:");
}

TEST_F(PromptWriterTest, TheTokenThatEndsAnAnswer) {
  const auto tokenizer = load_tokenizer(kStampvlm);
  const auto end = [&](const std::string& text) {
    folder_.write("chat_template.jinja", text);
    return make_prompt_writer({folder_.path(), true, 16, tokenizer.get()}, {})->answer_end();
  };
  EXPECT_EQ(end(read_file(std::string(kStampvlm) + "/chat_template.jinja")), "<|im_end|>");
  EXPECT_EQ(end(kImagesFirst), "");  // a blank: the checkpoint's own end token holds
}

TEST_F(PromptWriterTest, NamedFormats) {
  PromptSettings settings;
  settings.format = "vicuna-v1";
  const PromptModel model{folder_.path(), true, -1, nullptr};
  EXPECT_EQ(make_prompt_writer(model, settings)->name(), "vicuna-v1");
  EXPECT_EQ(make_prompt_writer(model, settings)->signature(), "prompt:vicuna-v1");
  settings.system = "Be brief.";
  EXPECT_EQ(make_prompt_writer(model, settings)->write({{"user", "Hi", 1}}).text,
            "Be brief. USER: <image>\nHi ASSISTANT:");
  settings.format = "mistral-instruct";
  EXPECT_ERROR(
      make_prompt_writer(model, settings),
      "prompt format 'mistral-instruct' has no form for a system turn; leave 'system' out");
  settings.system.reset();
  settings.date = "2025-01-03";
  EXPECT_ERROR(make_prompt_writer(model, settings),
               "prompt format 'mistral-instruct' has no date, which only a checkpoint's chat "
               "template may have; leave 'date' out");
}

TEST_F(PromptWriterTest, AFolderWithoutATemplateTakesItsArchitecturesFormat) {
  const auto chosen_for = [&](const std::string& architecture) {
    folder_.write("config.json", Json{{"architectures", {architecture}}}.dump());
    return make_prompt_writer({folder_.path(), true, -1, nullptr}, {});
  };
  EXPECT_EQ(chosen_for("QWenLMHeadModel")->name(), "qwen-vl-chat");
  EXPECT_EQ(
      chosen_for("QWenLMHeadModel")->source(),
      "format 'qwen-vl-chat' of configs/prompts, which is for QWenLMHeadModel (the folder has "
      "no chat template)");
  EXPECT_EQ(chosen_for("Qwen2_5_VLForConditionalGeneration")->name(), "qwen2-vl");
  EXPECT_EQ(chosen_for("Idefics3ForConditionalGeneration")->name(), "smolvlm");
  EXPECT_EQ(chosen_for("LlavaOnevisionForConditionalGeneration")->name(), "llava-onevision");
  EXPECT_EQ(chosen_for("LlavaLlamaForCausalLM")->name(), "vicuna-v1");
  EXPECT_ERROR(
      chosen_for("LlamaForCausalLM"),
      folder_.path().string() +
          ": no chat template (chat_template.jinja, or the key 'chat_template' of "
          "processor_config.json, chat_template.json or tokenizer_config.json); name a prompt "
          "format: chatml-qwen2, chatml-qwen2.5, chatml-smollm2, llama-3, llava-next-mistral, "
          "llava-next-vicuna, llava-onevision, llava-v1-elastic-cache, llava-v1-hf, "
          "mistral-instruct, plain, qwen-vl-chat, qwen2-vl, qwen3, smolvlm, stampvlm, vicuna-v1");
  // A template goes before the architecture, whatever it is.
  folder_.write("chat_template.jinja", kInOrder);
  EXPECT_EQ(chosen_for("QWenLMHeadModel")->name(), "chat-template");
}

TEST(Days, OfTheCalendar) {
  EXPECT_TRUE(parse_day("2024-02-29"));
  for (const char* text : {"2023-02-29", "2024-13-01", "2024-00-10", "24-02-01", "2024/02/01",
                           "2024-2-1", "2024-02-0x", ""})
    EXPECT_FALSE(parse_day(text)) << text;
}

}  // namespace
}  // namespace elastikv
