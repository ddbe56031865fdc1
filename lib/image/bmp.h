#pragma once

#include "image/image.h"
#include "image/image_bytes.h"

namespace elastikv {

/// Height and width as a BMP's header has them; nothing else is looked at.
ImageSize bmp_size(const ImageBytes& bytes);

/// Error unless the BMP is of a kind that decode_bmp() reads and has all of its pixels (which, when
/// they are run-length coded, shows only on decoding). `size` is bmp_size().
void require_readable_bmp(const ImageBytes& bytes, ImageSize size);

/// The pixels, as Pillow 12's BmpImagePlugin reads them: 1, 4 and 8 bits with a palette, also
/// run-length coded (RLE4, RLE8); 16 bits of 5, 5, 5 and, with masks, 5, 6, 5; 24 and 32 bits, the
/// latter with those masks that Pillow knows. Alpha is dropped. Error for anything else, and for
/// files that Pillow reads otherwise than the format is defined (Windows' BITMAPINFO): run-length
/// codes that leave out a row or have a literal run of an odd number of 4-bit pixels, and grey
/// palettes that it takes for other depths.
Image decode_bmp(const ImageBytes& bytes);

}  // namespace elastikv
