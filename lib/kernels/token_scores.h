#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// What a row of logits says of the expected token, and how far it is from the first row's
/// distribution.
struct TokenScores {
  std::vector<double> nll;  ///< [rows], nats: -log softmax(logits)[target]
  std::vector<double>
      kl;  ///< [rows], nats: KL(softmax(logits[0]) || softmax(logits[r])); 0 for row 0
};

/// logits: f32 [rows, vocab], all scored against the same token.
TokenScores score_token(const at::Tensor& logits, int64_t target);

/// NLL alone, of each row against a target of its own, by the same arithmetic: [rows], nats. A
/// device is waited for.
std::vector<double> score_tokens(const at::Tensor& logits, const std::vector<int64_t>& targets);

namespace reference {
/// Plain ATen in double, any device, which is not waited for: f64 [2, rows], nll and kl.
at::Tensor token_scores(const at::Tensor& logits, int64_t target);
TokenScores score_token(const at::Tensor& logits, int64_t target);
}  // namespace reference

namespace cpu {
/// Two passes over each row; sums in double over blocks that are added up in fp32.
TokenScores score_token(const at::Tensor& logits, int64_t target);
}  // namespace cpu

}  // namespace elastikv
