#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace elastikv {

/// The members of a zip archive in memory whose members are stored as they are, by name; the views
/// point into `bytes`. Reads the central directory, zip64 records among them
/// (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), and checks it against the
/// members' own headers, so that every view lies inside `bytes` and no two overlap. Checksums are
/// not compared: that would read everything.
///
/// Error, beginning with `file`, for a file that is no zip archive or is cut off, for a damaged
/// directory, for members that are compressed, encrypted or there twice.
std::map<std::string, std::string_view, std::less<>> read_zip(std::string_view bytes,
                                                              std::string_view file);

}  // namespace elastikv
