#include "datasets/problems.h"

#include <string_view>
#include <utility>

#include "base/error.h"

namespace elastikv {
namespace {

constexpr size_t kShownOfAKind = 5;

std::string_view heading(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::kEncoding:
      return "lines that are not UTF-8";
    case ProblemKind::kSyntax:
      return "malformed lines";
    case ProblemKind::kItem:
      return "malformed items";
    case ProblemKind::kId:
      return "unusable ids";
    case ProblemKind::kRepeatedId:
      return "repeated ids";
    case ProblemKind::kAnswers:
      return "answers that do not fit their questions";
    case ProblemKind::kOptions:
      return "options that leave no choice";
    case ProblemKind::kEmptyText:
      return "empty texts";
    case ProblemKind::kPlaces:
      return "places of images that do not fit the images";
    case ProblemKind::kReference:
      return "references to images that are not there";
    case ProblemKind::kBase64:
      return "malformed base64";
    case ProblemKind::kFolder:
      return "missing folders";
    case ProblemKind::kMissingImage:
      return "missing images";
    case ProblemKind::kUnreadableImage:
      return "unreadable images";
  }
  throw InternalError("a kind of problem without a heading");
}

}  // namespace

void Problems::note(ProblemKind kind, Problem problem) {
  Kind& of_kind = kinds_[kind];
  if (of_kind.shown.size() < kShownOfAKind) of_kind.shown.push_back(std::move(problem));
  ++of_kind.count;
  ++count_;
}

void Problems::add(ProblemKind kind, std::string text) {
  note(kind, {std::move(text)});
  of_file_ = true;
}

void Problems::add_line(ProblemKind kind, int64_t line, std::string text) {
  note(kind, {std::move(text), line});
  of_file_ = true;
}

void Problems::add(ProblemKind kind, Draft& draft, const std::string& text) {
  note(kind, {fmt::format("{}: {}", draft.where, text)});
  std::string& problem = draft.sample.problem;
  problem += (problem.empty() ? "" : "; ") + text;
}

void Problems::add_all(const Problems& other) {
  for (const auto& [kind, theirs] : other.kinds_) {
    for (const Problem& problem : theirs.shown) {
      note(kind,
           {problem.line > 0 ? fmt::format("{}:{}: {}", other.file_, problem.line, problem.text)
                             : fmt::format("{}: {}", other.file_, problem.text)});
    }
    const size_t hidden = theirs.count - theirs.shown.size();
    kinds_[kind].count += hidden;
    count_ += hidden;
  }
  of_file_ = of_file_ || other.of_file_;
}

void Problems::refuse() const {
  if (count_ == 1) {
    const Problem& only = kinds_.begin()->second.shown.front();
    if (only.line > 0) fail("{}:{}: {}", file_, only.line, only.text);
    fail("{}: {}", file_, only.text);
  }
  std::string text = fmt::format("{}: {} problems", file_, count_);
  for (const auto& [kind, of_kind] : kinds_) {
    text += fmt::format("\n  {}: {}", heading(kind), of_kind.count);
    for (const Problem& problem : of_kind.shown) {
      text += problem.line > 0 ? fmt::format("\n    line {}: {}", problem.line, problem.text)
                               : fmt::format("\n    {}", problem.text);
    }
    if (of_kind.count > of_kind.shown.size()) {
      text += fmt::format("\n    and {} more", of_kind.count - of_kind.shown.size());
    }
  }
  throw Error(text);
}

}  // namespace elastikv
