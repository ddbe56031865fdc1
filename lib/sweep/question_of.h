#pragma once

#include <string>

#include "datasets/sample.h"
#include "metrics/question.h"
#include "sweep/records.h"

namespace elastikv {

/// What metrics are told of a sample.
Question question_of(const Sample& sample);
/// The same of a sample as it is kept: without its votes and options, which only scores need.
Question question_of(const StoredSample& sample);

/// As text, what a score may depend on beyond Sample::content.
std::string question_text(const Question& question);

}  // namespace elastikv
