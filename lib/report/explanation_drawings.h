#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"
#include "report/explanation.h"

namespace elastikv {

/// The prompt's image and where its tokens are.
struct ShownPrompt {
  Image image;              ///< what the vision tower sees (ImageProcessor::crop)
  int64_t image_begin = 0;  ///< the image's tokens lie on it as a grid, row by row
  int64_t image_end = 0;
  ImageSize grid;  ///< rows and columns of these
  int64_t prompt_tokens = 0;
  std::string title;  ///< first line of every sheet: model, sample, budget
};

/// Error when the image's tokens are no grid of this size: they cannot be drawn on it.
void require_grid(int64_t image_tokens, ImageSize grid);

/// One tile per layer: the image with the tokens that stay in full colour, those evicted dimmed,
/// and of these the merged ones with an outline; where KV heads differ, by how many keep it. Below
/// each a bar of the whole prompt. Error in a build without OpenCV, as of the others.
Image kept_sheet(const Explanation& explanation, const ShownPrompt& prompt);

/// One tile per layer: the ranks of the image's tokens by importance (mean over the strategy's
/// groups) as colours over the image. The explanation must hold importances.
Image importance_sheet(const Explanation& explanation, const ShownPrompt& prompt);

/// kept_agreement as a coloured matrix with its numbers.
Image agreement_sheet(const std::vector<Explanation>& explanations, const std::string& title);

}  // namespace elastikv
