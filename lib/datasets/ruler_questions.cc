// RULER's questions about documents, and the files of SQuAD and HotpotQA.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "datasets/ruler_parts.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

constexpr int64_t kQuestionTokens = 32;

/// Reads a file by `read`, and says of what is not as it should be which data set it is not.
DocumentQuestions read_questions(const std::filesystem::path& file, const char* what,
                                 DocumentQuestions (*read)(const Json& json)) {
  const std::string text = read_file(file);
  DocumentQuestions questions;
  try {
    questions = read(Json::parse(text));
  } catch (const Json::exception& error) {
    fail("{}: is not {}'s JSON: {}", file.string(), what, error.what());
  }
  if (questions.questions.empty()) fail("{}: holds no questions of {}", file.string(), what);
  return questions;
}

/// Documents in the order of their text, each once, with their places.
class DocumentPlaces {
 public:
  void add(const std::string& document) { places_.emplace(document, 0); }
  std::vector<std::string> number() {
    std::vector<std::string> documents;
    for (auto& [document, place] : places_) {
      place = documents.size();
      documents.push_back(document);
    }
    return documents;
  }
  size_t operator[](const std::string& document) const { return places_.at(document); }

 private:
  std::map<std::string, size_t> places_;
};

DocumentQuestions squad_of(const Json& json) {
  DocumentPlaces places;
  for (const Json& article : json.at("data")) {
    for (const Json& paragraph : article.at("paragraphs"))
      places.add(paragraph.at("context").get<std::string>());
  }
  DocumentQuestions all;
  all.documents = places.number();
  for (const Json& article : json.at("data")) {
    std::vector<size_t> of_article;
    for (const Json& paragraph : article.at("paragraphs"))
      of_article.push_back(places[paragraph.at("context").get<std::string>()]);
    for (const Json& paragraph : article.at("paragraphs")) {
      const size_t document = places[paragraph.at("context").get<std::string>()];
      for (const Json& asked : paragraph.at("qas")) {
        if (asked.value("is_impossible", false)) continue;
        DocumentQuestion question{
            .question = asked.at("question"), .answers = {}, .documents = {document}, .near = {}};
        for (const Json& answer : asked.at("answers"))
          question.answers.push_back(answer.at("text").get<std::string>());
        if (question.answers.empty()) continue;
        for (const size_t other : of_article) {
          if (other != document) question.near.push_back(other);
        }
        all.questions.push_back(std::move(question));
      }
    }
  }
  return all;
}

std::string hotpot_document(const Json& titled) {
  std::string text = titled.at(0).get<std::string>() + "\n";
  for (const Json& sentence : titled.at(1)) text += sentence.get<std::string>();
  return text;
}

DocumentQuestions hotpotqa_of(const Json& json) {
  DocumentPlaces places;
  for (const Json& asked : json) {
    for (const Json& titled : asked.at("context")) places.add(hotpot_document(titled));
  }
  DocumentQuestions all;
  all.documents = places.number();
  for (const Json& asked : json) {
    DocumentQuestion question{.question = asked.at("question"),
                              .answers = {asked.at("answer").get<std::string>()},
                              .documents = {},
                              .near = {}};
    for (const Json& titled : asked.at("context"))
      question.documents.push_back(places[hotpot_document(titled)]);
    all.questions.push_back(std::move(question));
  }
  return all;
}

/// `size` documents: the question's, then those near it, then any.
std::vector<size_t> documents_for(const DocumentQuestion& question, size_t all, size_t size,
                                  Draws& draws) {
  std::vector<size_t> chosen = question.documents;
  std::set<size_t> taken(chosen.begin(), chosen.end());
  const size_t near = std::min(size - chosen.size(), question.near.size());
  for (const size_t place : draws.places(question.near.size(), near)) {
    if (taken.insert(question.near[place]).second) chosen.push_back(question.near[place]);
  }
  std::vector<size_t> others;
  for (size_t i = 0; i < all; ++i) {
    if (!taken.contains(i)) others.push_back(i);
  }
  for (const size_t place : draws.places(others.size(), size - chosen.size()))
    chosen.push_back(others[place]);
  draws.shuffle(chosen);
  return chosen;
}

}  // namespace

DocumentQuestions read_squad(const std::filesystem::path& file) {
  return read_questions(file, "SQuAD", squad_of);
}

DocumentQuestions read_hotpotqa(const std::filesystem::path& file) {
  return read_questions(file, "HotpotQA", hotpotqa_of);
}

MadeRow make_question(const std::string& task, const DocumentQuestions& questions, size_t number,
                      const MadeTarget& target, uint64_t seed) {
  constexpr const char* kAsk =
      "Answer the question based on the given documents. Only give me the answer and do not output "
      "any other words.\n\n";
  const DocumentQuestion& question = questions.questions[number % questions.questions.size()];
  return largest_row(
      [&](size_t size) {
        Draws draws(seed);
        std::string documents;
        size_t shown = 0;
        for (const size_t place : documents_for(question, questions.documents.size(), size, draws))
          documents += fmt::format("Document {}:\n{}\n\n", ++shown, questions.documents[place]);
        MadeRow row{.task = task};
        row.context =
            fmt::format("{}The following are given documents.\n\n{}{}", kAsk, documents, kAsk);
        row.question = fmt::format("Question: {}", question.question);
        row.answer_prefix = " Answer:";
        row.answers = question.answers;
        row.max_new_tokens = kQuestionTokens;
        return row;
      },
      target, question.documents.size(), questions.documents.size());
}

}  // namespace elastikv
