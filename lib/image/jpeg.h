#pragma once

#include "image/image.h"
#include "image/image_bytes.h"

namespace elastikv {

/// Height and width as the frame header of a JPEG has them. Error when there is none.
ImageSize jpeg_size(const ImageBytes& bytes);

/// Error unless the JPEG is of a kind that is read (8 bits a channel; 1, 3 or 4 channels; coded by
/// discrete cosines, sequential or progressive) and goes on to its end marker, with all scans of a
/// progressive one that decide the coarse shape of its blocks.
void require_readable_jpeg(const ImageBytes& bytes);

/// Whether the JPEG has four channels, CMYK or YCCK.
bool is_four_channel_jpeg(const ImageBytes& bytes);

}  // namespace elastikv
