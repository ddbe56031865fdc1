#pragma once

#include <vector>

#include "metrics/answer_rule.h"
#include "metrics/text_metric.h"

namespace elastikv {

// Each is defined in the file of its metrics.

TextFamily pltrdy_rouge();
TextFamily google_rouge();
TextFamily vqa_accuracy();
TextFamily exact_match();
TextFamily mmmu_open();
TextFamily anls();
TextFamily relaxed_accuracy();
TextFamily contains_answer();
TextFamily multiple_choice();
TextFamily choice_likelihood();
TextFamily yes_no();
TextFamily mme();
TextFamily bleu();
TextFamily cider();
TextFamily string_match();
TextFamily qa_f1();
TextFamily longbench();
TextFamily infinitebench();
TextFamily loogle();
TextFamily mm_niah();
TextFamily milebench();
TextFamily loyalty();

/// All of them, in the order of tables: a new one has its line here.
inline std::vector<TextFamily> text_families() {
  return {
      pltrdy_rouge(),
      google_rouge(),
      vqa_accuracy(),
      exact_match(),
      mmmu_open(),
      anls(),
      relaxed_accuracy(),
      contains_answer(),
      multiple_choice(),
      choice_likelihood(),
      yes_no(),
      mme(),
      bleu(),
      cider(),
      string_match(),
      qa_f1(),
      longbench(),
      infinitebench(),
      loogle(),
      mm_niah(),
      milebench(),
      loyalty(),
  };
}

}  // namespace elastikv
