#include "text/prompt_format.h"

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "golden_lines.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "text/prompt_tokens.h"

namespace elastikv {
namespace {

using Ids = std::vector<int64_t>;

const std::vector<Turn> kQuestion{{"user", "What is it?", 1}};
const std::vector<Turn> kDialogue{
    {"user", "What is it?", 1}, {"assistant", "An owl.", 0}, {"user", "Where?", 0}};

std::string render(const char* format, const std::vector<Turn>& turns, bool answer_follows = true) {
  return prompt_format(format).render(turns, answer_follows).text;
}

TEST(PromptFormat, StampvlmAsTransformersWritesIt) {
  // transformers' LlavaProcessor with the model's chat template, images of 144 tokens.
  const auto tokenizer = load_tokenizer(kStampvlm);
  size_t cases = 0;
  for (const auto& line : golden_lines("stampvlm/prompts.jsonl")) {
    std::vector<Turn> turns;
    for (const auto& turn : line["turns"]) {
      turns.push_back(
          {turn[0].get<std::string>(), turn[1].get<std::string>(), turn[2].get<int64_t>()});
    }
    const Prompt prompt =
        prompt_format("stampvlm").render(turns, line["answer_follows"].get<bool>());
    EXPECT_EQ(prompt.text, line["rendered"].get<std::string>());
    std::vector<ImageText> image_tokens;
    for (const PromptChunk& chunk : prompt.chunks) {
      if (chunk.kind == PromptChunk::Kind::kImage) image_tokens.push_back(ImageText::one_run(144));
    }
    const TokenizedPrompt ids =
        tokenize_prompt(*tokenizer, prompt.chunks, /*image_token_id=*/16, image_tokens);
    EXPECT_EQ(ids.ids, line["ids"].get<Ids>()) << prompt.text;
    ASSERT_EQ(ids.images.size(), image_tokens.size());
    for (const TokenSpan& span : ids.images) {
      EXPECT_EQ(span.end - span.begin, 144);
      for (int64_t i = span.begin; i < span.end; ++i) ASSERT_EQ(ids.ids[i], 16);
    }
    ++cases;
  }
  EXPECT_EQ(cases, 20U);
}

/// Images of so many placeholders each.
std::vector<ImageText> runs_of(const Ids& counts) {
  std::vector<ImageText> images;
  for (const int64_t count : counts) images.push_back(ImageText::one_run(count));
  return images;
}

TEST(PromptFormat, BosComesOnceAndMergesStopAtImages) {
  const auto tokenizer = load_tokenizer(std::string(kTextData) + "llama-like");
  for (const auto& line : golden_lines("llama-like/prompts.jsonl")) {
    const TokenizedPrompt prompt = tokenize_prompt(
        *tokenizer, cut_at_images(line["text"].get<std::string>()),
        line["image_token_id"].get<int64_t>(), runs_of(line["image_tokens"].get<Ids>()));
    EXPECT_EQ(prompt.ids, line["ids"].get<Ids>()) << line["text"];
    for (const TokenSpan& span : prompt.images) {
      for (int64_t i = span.begin; i < span.end; ++i) {
        EXPECT_EQ(prompt.ids[i], line["image_token_id"].get<int64_t>());
      }
    }
  }
}

TEST(PromptFormat, OneQuestionInEachFormat) {
  EXPECT_EQ(render("stampvlm", kQuestion),
            "<|im_start|>system\nYou are a helpful assistant that looks at pictures.<|im_end|>\n"
            "<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render("chatml-smollm2", {{"user", "Hi", 0}}),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
            "Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render("llava-v1-hf", kQuestion), "USER: <image>\nWhat is it? ASSISTANT:");
  EXPECT_EQ(render("vicuna-v1", kQuestion),
            "A chat between a curious user and an artificial intelligence assistant. The assistant "
            "gives helpful, detailed, and polite answers to the user's questions. USER: <image>\n"
            "What is it? ASSISTANT:");
  EXPECT_EQ(render("llava-v1-elastic-cache", {{"user", "What is it?\n<image>", 0}}),
            "A chat between a curious human and an artificial intelligence assistant. The "
            "assistant gives helpful, detailed, and polite answers to the human's questions. "
            "USER: What is it?\n<image> ASSISTANT:");
  EXPECT_EQ(render("plain", {{"user", "Once upon a time", 0}}), "Once upon a time");
  EXPECT_EQ(render("plain", kQuestion), "<image>\nWhat is it?");
}

TEST(PromptFormat, SeveralTurnsAndGivenSystemLines) {
  EXPECT_EQ(render("llava-v1-hf", kDialogue),
            "USER: <image>\nWhat is it? ASSISTANT: An owl. USER: Where? ASSISTANT:");
  EXPECT_EQ(render("llava-v1-hf", {{"system", "Be brief.", 0}, {"user", "Hi", 0}}),
            "Be brief. USER: Hi ASSISTANT:");
  std::vector<Turn> dialogue = kDialogue;
  dialogue.insert(dialogue.begin(), {"system", "Be brief.", 0});
  EXPECT_EQ(render("vicuna-v1", dialogue),
            "Be brief. USER: <image>\nWhat is it? ASSISTANT: An owl.</s>USER: Where? ASSISTANT:");
  EXPECT_EQ(render("chatml-smollm2", dialogue, /*answer_follows=*/false),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<image>\nWhat is it?"
            "<|im_end|>\n<|im_start|>assistant\nAn owl.<|im_end|>\n<|im_start|>user\nWhere?"
            "<|im_end|>\n");
  const std::string closed = render("vicuna-v1", {{"user", "q", 0}, {"assistant", "a", 0}},
                                    /*answer_follows=*/false);
  EXPECT_TRUE(closed.ends_with(" to the user's questions. USER: q ASSISTANT: a</s>")) << closed;
}

TEST(PromptFormat, TextIsCutAtImages) {
  const PromptChunk image{PromptChunk::Kind::kImage, ""};
  const auto text = [](const char* part) { return PromptChunk{PromptChunk::Kind::kText, part}; };
  using Chunks = std::vector<PromptChunk>;
  EXPECT_EQ(cut_at_images(""), Chunks{});
  EXPECT_EQ(cut_at_images("abc"), Chunks{text("abc")});
  EXPECT_EQ(cut_at_images("<image>"), Chunks{image});
  EXPECT_EQ(cut_at_images("a<image>\n<image>b <imag"),
            (Chunks{text("a"), image, text("\n"), image, text("b <imag")}));
  EXPECT_EQ(prompt_format("plain").render({{"user", "x<image>", 1}}).chunks,
            (Chunks{image, text("\nx"), image}));
}

TEST(PromptFormat, SpansOfSeveralImages) {
  const auto tokenizer = load_tokenizer(kStampvlm);
  const TokenizedPrompt prompt = tokenize_prompt(*tokenizer, cut_at_images("<image>a<image>"),
                                                 /*image_token_id=*/16, runs_of({2, 3}));
  const int64_t a = tokenizer->token_to_id("a").value();
  EXPECT_EQ(prompt.ids, (Ids{16, 16, a, 16, 16, 16}));
  EXPECT_EQ(prompt.images, (std::vector<TokenSpan>{{0, 2}, {3, 6}}));
}

TEST(PromptFormat, ImagesOfSeveralRunsKeepTheTextBetweenThem) {
  const auto tokenizer = load_tokenizer(kStampvlm);
  const int64_t a = tokenizer->token_to_id("a").value();
  const int64_t b = tokenizer->token_to_id("b").value();
  const ImageText image{{{"a", 2}, {"b", 1}}, "a"};
  const TokenizedPrompt prompt =
      tokenize_prompt(*tokenizer, cut_at_images("b<image>b"), /*image_token_id=*/16, {image});
  const Ids text = tokenizer->encode("ab");
  Ids expected = tokenizer->encode("ba");
  for (const int64_t id : Ids{16, 16, b, 16}) expected.push_back(id);
  expected.insert(expected.end(), text.begin(), text.end());
  EXPECT_EQ(prompt.ids, expected);
  const auto first = static_cast<int64_t>(tokenizer->encode("ba").size());
  EXPECT_EQ(prompt.images, (std::vector<TokenSpan>{{first, first + 4}}));
  EXPECT_EQ(prompt.placeholders, (Ids{first, first + 1, first + 3}));
  EXPECT_EQ(prompt.image_span(), (TokenSpan{first, first + 4}));
  // An id that the tokenizer does not have: texts are encoded apart.
  EXPECT_EQ(tokenize_prompt(*tokenizer, cut_at_images("b<image>"), 1 << 20, {image}).ids,
            (Ids{b, a, 1 << 20, 1 << 20, b, 1 << 20, a}));
}

TEST(PromptFormat, TextMayNotHoldThePlaceholder) {
  const auto tokenizer = load_tokenizer(kStampvlm);
  const std::string placeholder = tokenizer->id_to_token(16).value();
  const std::vector<PromptChunk> chunks{
      {PromptChunk::Kind::kText, fmt::format("x{}", placeholder)}};
  EXPECT_ERROR(tokenize_prompt(*tokenizer, chunks, /*image_token_id=*/16, {}),
               fmt::format("the prompt's text holds '{}', which stands for images: 1 found, 0 "
                           "expected",
                           placeholder));
}

TEST(PromptFormat, PlaceholdersAndImagesMustAgree) {
  const auto tokenizer = load_tokenizer(std::string(kTextData) + "unknown-like");
  EXPECT_ERROR(tokenize_prompt(*tokenizer, cut_at_images("a<image>b"), 1, {}),
               "the prompt has 1 <image> placeholder for 0 images");
  EXPECT_ERROR(tokenize_prompt(*tokenizer, cut_at_images("ab"), 1, runs_of({144})),
               "the prompt has 0 <image> placeholders for 1 image");
}

TEST(PromptFormat, WrongTurnsAreNamed) {
  const PromptFormat format = prompt_format("stampvlm");
  EXPECT_ERROR(format.render({}), "a prompt needs at least one turn");
  EXPECT_ERROR(format.render({{"usr", "x", 0}}),
               "turn 1 has the unknown role 'usr'; did you mean 'user'?");
  EXPECT_ERROR(format.render({{"user", "x", 0}, {"system", "y", 0}}),
               "turn 2 has the role 'system', which only the first turn may have");
}

TEST(PromptFormat, AnUnknownNameIsSaid) {
  EXPECT_ERROR(prompt_format("stampvlm2"),
               "no prompt format 'stampvlm2'; did you mean 'stampvlm'?");
}

TEST(PromptFormat, AsPublishedTemplatesWriteIt) {
  size_t cases = 0;
  for (const auto& line : golden_lines("prompt-formats.jsonl")) {
    std::vector<Turn> turns;
    for (const auto& turn : line["turns"]) {
      turns.push_back(
          {turn[0].get<std::string>(), turn[1].get<std::string>(), turn[2].get<int64_t>()});
    }
    const auto name = line["format"].get<std::string>();
    EXPECT_EQ(prompt_format(name).render(turns, line["answer_follows"].get<bool>()).text,
              line["rendered"].get<std::string>())
        << name;
    ++cases;
  }
  EXPECT_GT(cases, 30U);
}

TEST(PromptFormat, FormsWithoutAPublishedTemplate) {
  EXPECT_EQ(render("qwen-vl-chat", {{"user", "Compare.", 2}}),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
            "Picture 1: <img><image></img>\nPicture 2: <img><image></img>\nCompare.<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(render("llava-onevision", kQuestion),
            "<|im_start|>user <image>\nWhat is it?<|im_end|><|im_start|>assistant\n");
  EXPECT_EQ(render("llava-onevision", {{"user", "Hi", 0}}),
            "<|im_start|>user \nHi<|im_end|><|im_start|>assistant\n");
  EXPECT_EQ(render("llava-onevision", {{"user", "Hi", 2}}),
            "<|im_start|>user <image><image>\nHi<|im_end|><|im_start|>assistant\n");
  EXPECT_EQ(render("llava-next-vicuna", kQuestion),
            "A chat between a curious human and an artificial intelligence assistant. The "
            "assistant gives helpful, detailed, and polite answers to the human's questions. "
            "USER: <image>\nWhat is it? ASSISTANT:");
  EXPECT_EQ(
      render("mistral-instruct", {{"user", "Hi", 0}, {"assistant", "Yes", 0}, {"user", "?", 0}}),
      "[INST] Hi [/INST]Yes</s>[INST] ? [/INST]");
  EXPECT_EQ(render("qwen3", {{"user", "Hi", 0}}),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render("chatml-qwen2.5", {{"user", "Hi", 0}}),
            "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
            "assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render("chatml-qwen2", {{"user", "Hi", 0}}),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi"
            "<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_ERROR(render("mistral-instruct", {{"system", "Be brief.", 0}, {"user", "Hi", 0}}),
               "prompt format 'mistral-instruct' has no form for a turn of the role 'system'");
}

TEST(PromptFormat, ImagesGoWhereTheyAreWanted) {
  const auto placed = [](const char* format, ImagePlace place, const Turn& turn) {
    return prompt_format(format).render({turn}, /*answer_follows=*/false, place).text;
  };
  EXPECT_EQ(placed("llava-v1-hf", ImagePlace::kAfter, {"user", "What?", 1}),
            "USER: What?\n<image> ");
  EXPECT_EQ(placed("llava-v1-hf", ImagePlace::kBefore, {"user", "What?", 1}),
            "USER: <image>\nWhat? ");
  EXPECT_EQ(placed("llava-v1-hf", ImagePlace::kAfter, {"user", "What?", 0}), "USER: What? ");
  EXPECT_EQ(placed("smolvlm", ImagePlace::kBefore, {"user", "What?", 2}),
            "<|im_start|>User:<image><image>What?<end_of_utterance>\n");
  EXPECT_EQ(placed("smolvlm", ImagePlace::kAfter, {"user", "What?", 2}),
            "<|im_start|>User: What?<image><image><end_of_utterance>\n");
  // An image that the text places itself is spelled the same, and counts.
  EXPECT_EQ(placed("smolvlm", ImagePlace::kDefault, {"user", "<image>What?", 0}),
            "<|im_start|>User:<image>What?<end_of_utterance>\n");
  EXPECT_EQ(placed("plain", ImagePlace::kAfter, {"user", "<image> and", 2}),
            "<image> and\n<image>\n<image>");
  const std::string qwen =
      placed("qwen-vl-chat", ImagePlace::kDefault, {"user", "<image> or <image>?", 0});
  EXPECT_TRUE(
      qwen.ends_with("<|im_start|>user\nPicture 1: <img><image></img> or Picture 2: "
                     "<img><image></img>?<|im_end|>\n"))
      << qwen;
}

TEST(PromptFormat, MalformedFilesAreNamed) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "mine.yaml";
  const std::string good =
      "source: here\nroles:\n  user: {before: \"U:\", after: \"\\n\"}\nanswer: \"A:\"\n"
      "answer_end: \"\"\n";
  const auto read = [&](const std::string& text) {
    folder.write("mine.yaml", text);
    return read_prompt_format(path);
  };
  EXPECT_EQ(read(good).render({{"user", "Hi", 1}}).text, "U:<image>\nHi\nA:");
  EXPECT_EQ(read(good).name, "mine");
  const std::string file = path.string();
  EXPECT_ERROR(read(good + "sistem: x\n"),
               file + ":6: unknown key 'sistem'; did you mean 'system'?");
  EXPECT_ERROR(read("roles: {user: {before: \"\", after: \"\"}}\nanswer: x\n"),
               file + ":1: key 'source' is missing");
  EXPECT_ERROR(read("source: x\nanswer: x\nanswer_end: x\nroles:\n  user: {before: x}\n"),
               file + ":5: key 'roles.user.after' is missing");
  EXPECT_ERROR(read("source: x\nanswer: x\nanswer_end: x\nroles:\n  usr: {before: x}\n"),
               file + ":5: unknown key 'roles.usr'; did you mean 'user'?");
  EXPECT_ERROR(read("source: x\nanswer: x\nanswer_end: x\nroles: {}\n"),
               file + ":4: key 'roles' has no 'user'");
  EXPECT_ERROR(read(good + "system: Be brief.\n"),
               file + ":6: key 'system' is given, but 'roles' has no 'system'");
  EXPECT_ERROR(read(good + "images:\n  place: behind\n"),
               file + ":7: key 'images.place' is 'behind', before or after is needed");
  EXPECT_ERROR(read(good + "images: {text: \"<img>\"}\n"),
               file + ":6: key 'images.text' is '<img>', which has to hold <image> once");
  // What the keys were called before.
  EXPECT_EQ(
      read(good + "pictures: {between: '|', then_text: ' '}\n").render({{"user", "Hi", 2}}).text,
      "U:<image>|<image> Hi\nA:");
  EXPECT_EQ(read("source: x\nroles: {user: {before: 'U: ', before_picture: 'U:', after: ''}}\n"
                 "answer: ''\nanswer_end: ''\n")
                .render({{"user", "Hi", 1}})
                .text,
            "U:<image>\nHi");
  setenv("ELASTIKV_CONFIGS", (folder.path() / "none").c_str(), /*replace=*/1);
  EXPECT_ERROR(prompt_formats(), (folder.path() / "none" / "prompts").string() +
                                     ": the prompt formats cannot be read: No such file or "
                                     "directory");
  unsetenv("ELASTIKV_CONFIGS");
}

}  // namespace
}  // namespace elastikv
