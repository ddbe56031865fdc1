#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/picture.h"
#include "report/explanation.h"

namespace elastikv {

/// The prompt's picture and where its tokens are.
struct ShownPrompt {
  Picture picture;          ///< what the vision tower sees (ImageProcessor::crop)
  int64_t image_begin = 0;  ///< the picture's tokens lie on it as a grid, row by row
  int64_t image_end = 0;
  PictureSize grid;  ///< rows and columns of these
  int64_t prompt_tokens = 0;
  std::string title;  ///< first line of every sheet: model, sample, budget
};

/// Error when the picture's tokens are no grid of this size: they cannot be drawn on it.
void require_grid(int64_t image_tokens, PictureSize grid);

/// One tile per layer: the picture with the tokens that stay in full colour, those evicted dimmed,
/// and of these the merged ones with an outline; where KV heads differ, by how many keep it. Below
/// each a bar of the whole prompt. Error in a build without OpenCV, as of the others.
Picture kept_sheet(const Explanation& explanation, const ShownPrompt& prompt);

/// One tile per layer: the ranks of the picture's tokens by importance (mean over the strategy's
/// groups) as colours over the picture. The explanation must hold importances.
Picture importance_sheet(const Explanation& explanation, const ShownPrompt& prompt);

/// kept_agreement as a coloured matrix with its numbers.
Picture agreement_sheet(const std::vector<Explanation>& explanations, const std::string& title);

}  // namespace elastikv
