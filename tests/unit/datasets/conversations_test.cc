// Conversations that go on from turn to turn, in the published layouts of several data sets. The
// files are made up.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "datasets/dataset.h"
#include "support.h"
#include "support/expect_error.h"

namespace elastikv {
namespace {

using Texts = std::vector<std::string>;

constexpr const char* kLlava = R"([
 {"id": "a", "image": "a.png", "conversations": [
  {"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "A cat."},
  {"from": "human", "value": "Where?"}, {"from": "gpt", "value": "On a mat."},
  {"from": "human", "value": "Why?"}, {"from": "gpt", "value": "It is warm."}]},
 {"id": "b", "conversations": [
  {"from": "human", "value": "Hello?"}, {"from": "gpt", "value": "Yes."}]}
])";

DataSet read(const Files& files, const std::string& name, std::string_view text,
             HistoryAnswers history = HistoryAnswers::kReference) {
  DataOptions options = files.with(name, text);
  options.turn = "conversation";
  options.history = history;
  options.needs_answers = history == HistoryAnswers::kReference;
  return read_data(options);
}

/// The questions and answers before a sample's own, one after the other.
Texts before(const Sample& sample) {
  Texts texts;
  for (const EarlierTurn& turn : sample.earlier) {
    texts.push_back(turn.question);
    texts.push_back(turn.answer);
  }
  return texts;
}

TEST(ReadConversations, EveryTurnHasThoseBeforeIt) {
  const Files files;
  const DataSet data = read(files, "a.json", kLlava);
  ASSERT_EQ(ids(data), (Texts{"a#1", "a#2", "a#3", "b#1"}));
  EXPECT_TRUE(data.samples[0].earlier.empty());
  EXPECT_EQ(before(data.samples[2]),
            (Texts{"<image>\nDescribe.", "A cat.", "Where?", "On a mat."}));
  EXPECT_EQ(data.samples[2].question, "Why?");
  EXPECT_EQ(data.samples[2].answer, "It is warm.");
  EXPECT_EQ(data.samples[2].turn, 3);
  EXPECT_EQ(data.samples[2].images.size(), 1U);
  EXPECT_EQ(data.samples[2].earlier_images(), 1U);
  EXPECT_EQ(data.samples[0].conversation, data.samples[2].conversation);
  EXPECT_NE(data.samples[0].conversation, data.samples[3].conversation);
  EXPECT_EQ(data.samples[0].cluster, data.samples[2].cluster);
}

TEST(ReadConversations, TheFirstTurnIsWhatItIsByItself) {
  const Files files;
  DataOptions options = files.with("a.json", kLlava);
  options.turn = "all";
  const DataSet each = read_data(options);
  const DataSet data = read(files, "a.json", kLlava);
  ASSERT_EQ(ids(each), ids(data));
  EXPECT_EQ(each.samples[0].content, data.samples[0].content);
  EXPECT_EQ(each.samples[3].content, data.samples[3].content);
  EXPECT_NE(each.samples[1].content, data.samples[1].content);
  const Sample first = first_turn(data.samples[2]);
  EXPECT_EQ(first.question, data.samples[0].question);
  EXPECT_EQ(first.answer, "A cat.");
  EXPECT_EQ(first.content, data.samples[0].content);
  EXPECT_EQ(first.images, data.samples[0].images);
  EXPECT_TRUE(first.earlier.empty());
}

TEST(ReadConversations, WhatStandsAroundQuestionsStandsAroundAll) {
  const Files files;
  DataOptions options = files.with("a.json", kLlava);
  options.turn = "conversation";
  options.question_after = " Be brief.";
  options.question_remove = "r";
  const DataSet data = read_data(options);
  EXPECT_EQ(before(data.samples[2]),
            (Texts{"<image>\nDescibe. Be brief.", "A cat.", "Whee? Be brief.", "On a mat."}));
  EXPECT_EQ(data.samples[2].question, "Why? Be brief.");
  EXPECT_EQ(first_turn(data.samples[2]).content, data.samples[0].content);
}

TEST(ReadConversations, MmduShowsImagesInLaterTurns) {
  const Files files;
  const char* text = R"({"c1": {"id": "7", "image": ["a.png", "b.png"], "conversations": [
    {"from": "user", "value": "<ImageHere>What is it?"}, {"from": "assistant", "value": "A cat."},
    {"from": "user", "value": "And Image2: <ImageHere>?"},
    {"from": "assistant", "value": "A dog."}]}})";
  const DataSet data = read(files, "benchmark.json", text);
  EXPECT_EQ(data.format, "llava");
  ASSERT_EQ(data.samples.size(), 2U);
  EXPECT_EQ(data.samples[0].question, "<image>What is it?");
  EXPECT_EQ(data.samples[0].images.size(), 1U);
  EXPECT_EQ(data.samples[1].question, "And Image2: <image>?");
  EXPECT_EQ(data.samples[1].images.size(), 2U);
  EXPECT_EQ(data.samples[1].earlier.front().images, 1U);
}

TEST(ReadConversations, ChatMessagesHaveRolesAndContents) {
  const Files files;
  const DataSet data = read(files, "a.jsonl", R"({"id": "x", "conversations": [
    {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"},
    {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]})");
  EXPECT_EQ(before(data.samples.at(1)), (Texts{"q", "a"}));
}

TEST(ReadConversations, ScbenchHasAContextAndTurns) {
  const Files files;
  const char* text = R"({"id": 3, "context": "A book.", "multi_turns": [
    {"input": "Who?", "answer": ["Ann", "Anna"]}, {"input": "Where?", "answer": "Here"}]})";
  const DataSet data = read(files, "scbench.jsonl", text);
  EXPECT_EQ(data.format, "turns");
  ASSERT_EQ(ids(data), (Texts{"3#1", "3#2"}));
  EXPECT_EQ(data.samples[0].question, "A book.\nWho?");
  EXPECT_EQ(data.samples[0].context_length, 8U);
  EXPECT_EQ(data.samples[0].accepted(), (Texts{"Ann", "Anna"}));
  EXPECT_EQ(data.samples[1].question, "Where?");
  EXPECT_EQ(data.samples[1].context_length, 0U);
  EXPECT_EQ(data.samples[1].earlier.front().context_length, 8U);
  EXPECT_EQ(first_turn(data.samples[1]).content, data.samples[0].content);
  // Asked one by one, each has the context.
  DataOptions options = files.with("scbench.jsonl", text);
  options.turn = "all";
  EXPECT_EQ(read_data(options).samples.at(1).question, "A book.\nWhere?");
}

TEST(ReadConversations, MtBenchHasListsAndOftenNoAnswers) {
  const Files files;
  const char* text = R"({"question_id": 81, "category": "writing", "turns": ["Write.", "Again."]})";
  const DataSet own = read(files, "question.jsonl", text, HistoryAnswers::kOwn);
  EXPECT_EQ(own.format, "turns");
  ASSERT_EQ(ids(own), (Texts{"81#1", "81#2"}));
  EXPECT_EQ(own.samples[1].history, HistoryAnswers::kOwn);
  EXPECT_EQ(own.samples[1].categories, (Texts{"writing"}));
  EXPECT_ERROR(read(files, "question.jsonl", text),
               files.message("question.jsonl",
                             "line 1 ('81'): 'turns' has 2 questions, and 'reference', which "
                             "answers them, is missing"));
  const DataSet answered =
      read(files, "h.jsonl",
           R"({"prompt_id": 9, "prompt": ["Add.", "Double."], "reference": ["2", "4"]})");
  EXPECT_EQ(before(answered.samples.at(1)), (Texts{"Add.", "2"}));
}

TEST(ReadConversations, QuestionsOfAContextFollowEachOther) {
  const Files files;
  const DataSet data = read(files, "c.jsonl", R"({"id": "k", "image": "a.png", "context": "Text.",
    "questions": ["One?", "Two?"], "answers": ["1", "2"]})");
  EXPECT_EQ(data.format, "contexts");
  ASSERT_EQ(ids(data), (Texts{"k#1", "k#2"}));
  EXPECT_EQ(before(data.samples[1]), (Texts{"Text.\nOne?", "1"}));
  EXPECT_EQ(data.samples[1].question, "Two?");
}

TEST(ReadConversations, BadOnesAreRefusedByFileAndItem) {
  const Files files;
  EXPECT_ERROR(
      read(files, "a.json", R"([{"id": "x", "conversations": [
                 {"from": "assistant", "value": "Hi."}, {"from": "user", "value": "q"}]}])"),
      files.message("a.json", "item 0 ('x'): conversations[0] is from 'assistant', not 'human'"));
  EXPECT_ERROR(
      read(files, "b.json", R"([{"id": "x", "conversations": [{"from": "human", "value": "q"}]}])"),
      files.message("b.json",
                    "item 0 ('x'): 'conversations' needs pairs of a human's and a gpt's turn"));
  EXPECT_ERROR(read(files, "c.json", R"([{"id": "x", "image": ["a.png", "b.png"], "conversations": [
                 {"from": "human", "value": "<image> q"}, {"from": "gpt", "value": "a"},
                 {"from": "human", "value": "r"}, {"from": "gpt", "value": "b"}]}])"),
               files.message("c.json",
                             "item 0 ('x'): the conversation has <image> 1 times, the item names 2 "
                             "images"));
  EXPECT_ERROR(read(files, "d.json", R"([{"id": "x", "image": "a.png", "conversations": [
                 {"from": "human", "value": "<image> q"}, {"from": "gpt", "value": "a"},
                 {"from": "human", "value": "<image> r"}, {"from": "gpt", "value": "b"}]}])"),
               files.message("d.json",
                             "item 0 ('x'): the conversation has <image> 2 times, the item names 1 "
                             "image"));
  EXPECT_ERROR(read(files, "e.jsonl", R"({"id": "x", "multi_turns": []})"),
               files.message("e.jsonl", "line 1 ('x'): its list of turns is empty"));
}

TEST(ReadConversations, AnAnswerToGoOnFromHasToBeThere) {
  const Files files;
  DataOptions options = files.with("a.json", R"([{"id": "x", "conversations": [
    {"from": "human", "value": "q"}, {"from": "gpt", "value": null},
    {"from": "human", "value": "r"}]}])");
  options.turn = "conversation";
  options.needs_answers = false;
  EXPECT_ERROR(read_data(options),
               files.message("a.json",
                             "item 0 ('x#2'): an earlier question has no answer to go on from "
                             "(history: own goes on from what is written)"));
  options.history = HistoryAnswers::kOwn;
  EXPECT_EQ(read_data(options).samples.size(), 2U);
}

TEST(ReadConversations, MarkersNameTheImagesOfOneQuestion) {
  const Files files;
  DataOptions options = files.with("a.json", kLlava);
  options.turn = "conversation";
  options.image_markers = "<image {n}>";
  EXPECT_ERROR(read_data(options),
               files.message("a.json",
                             "'image_markers' name the images of one question; with 'turn: "
                             "conversation' <image> says where they stand"));
}

}  // namespace
}  // namespace elastikv
