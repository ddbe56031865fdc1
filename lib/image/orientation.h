#pragma once

#include <filesystem>
#include <string_view>

#include "image/image.h"

namespace elastikv {

/// The orientation that a PNG, JPEG or WebP file says its pixels are stored in, by the numbers of
/// EXIF (tag 0x0112): 1 upright, 2 mirrored, 3 upside down, 4 mirrored upside down, 5 transposed, 6
/// to be turned right by 90 degrees, 7 transposed across the other diagonal, 8 to be turned left by
/// 90 degrees. As Pillow's ImageOps.exif_transpose finds it: the Exif segment or chunk, and where
/// that has no such tag `tiff:Orientation` of the XMP. (A PNG's XMP and Exif in compressed text
/// chunks are not read.) 1 where the file says none, says one that does not exist, or is damaged.
int stored_orientation(std::string_view bytes);
/// The same of a file; 1 for one that cannot be read.
int stored_orientation(const std::filesystem::path& file);

/// An image turned upright: the pixels of Pillow's ImageOps.exif_transpose.
Image turned_upright(Image image, int orientation);
/// The size of an image after that.
ImageSize turned_upright(ImageSize size, int orientation);

}  // namespace elastikv
