#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elastikv {

template <typename T>
std::string little_endian(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

inline std::string joined(std::initializer_list<std::string_view> pieces) {
  std::string all;
  for (const std::string_view piece : pieces) all += piece;
  return all;
}

/// A zip archive as torch.save makes it, or with one thing wrong. Checksums are left at zero, as
/// torch leaves them when told to.
struct ZipMember {
  std::string name;
  std::string bytes;
  uint16_t method = 0;
  uint16_t flags = 0;
  /// Sizes and offset go into a zip64 field, as for members beyond 4 GB.
  bool wide = false;
  /// Name in the member's own header, when that is to be another one.
  std::string own_name{};
};

/// `wide`: with the zip64 end records that torch always writes, holding the numbers in place of the
/// old one. `padding`: bytes before every member, which moves its alignment.
inline std::string zip_archive(const std::vector<ZipMember>& members, bool wide = false,
                               size_t padding = 0, const std::string& comment = "") {
  std::string all;
  std::string directory;
  for (const ZipMember& member : members) {
    all.append(padding, '\0');
    const uint64_t offset = all.size();
    const std::string& own_name = member.own_name.empty() ? member.name : member.own_name;
    const auto size = static_cast<uint32_t>(member.bytes.size());
    const std::string narrow_size = little_endian(member.wide ? uint32_t{0xFFFFFFFF} : size);
    const std::string zeros(10, '\0');
    const auto some_zeros = [&](size_t count) { return std::string_view(zeros).substr(0, count); };
    all += joined({"PK\x03\x04", some_zeros(2), little_endian(member.flags),
                   little_endian(member.method), some_zeros(8), little_endian(size),
                   little_endian(size), little_endian(static_cast<uint16_t>(own_name.size())),
                   some_zeros(2), own_name, member.bytes});
    std::string extra;
    if (member.wide) {
      // Another field first: fields are found by their number.
      extra = joined({"ab", little_endian<uint16_t>(3), "xyz", little_endian<uint16_t>(1),
                      little_endian<uint16_t>(24), little_endian<uint64_t>(size),
                      little_endian<uint64_t>(size), little_endian(offset)});
    }
    directory +=
        joined({"PK\x01\x02", some_zeros(4), little_endian(member.flags),
                little_endian(member.method), some_zeros(8), narrow_size, narrow_size,
                little_endian(static_cast<uint16_t>(member.name.size())),
                little_endian(static_cast<uint16_t>(extra.size())), some_zeros(10),
                little_endian(member.wide ? uint32_t{0xFFFFFFFF} : static_cast<uint32_t>(offset)),
                member.name, extra});
  }
  const uint64_t begin = all.size();
  all += directory;
  if (wide) {
    const uint64_t record = all.size();
    all += joined({"PK\x06\x06", little_endian<uint64_t>(44), std::string(12, '\0'),
                   little_endian<uint64_t>(members.size()), little_endian<uint64_t>(members.size()),
                   little_endian<uint64_t>(directory.size()), little_endian(begin), "PK\x06\x07",
                   little_endian<uint32_t>(0), little_endian(record), little_endian<uint32_t>(1)});
  }
  const auto count = wide ? uint16_t{0xFFFF} : static_cast<uint16_t>(members.size());
  const uint32_t narrow_bytes = wide ? 0xFFFFFFFF : static_cast<uint32_t>(directory.size());
  const uint32_t narrow_begin = wide ? 0xFFFFFFFF : static_cast<uint32_t>(begin);
  all += joined({"PK\x05\x06", little_endian<uint32_t>(0), little_endian(count),
                 little_endian(count), little_endian(narrow_bytes), little_endian(narrow_begin),
                 little_endian(static_cast<uint16_t>(comment.size())), comment});
  return all;
}

// Pieces of pickles, protocol 4.

inline std::string pickled_text(std::string_view text) {
  return joined({"X", little_endian(static_cast<uint32_t>(text.size())), text});
}
inline std::string pickled_number(int64_t value) {
  return joined({"\x8a\x08", little_endian(value)});
}
inline std::string pickled_global(std::string_view module, std::string_view name) {
  return joined({"c", module, "\n", name, "\n"});
}
inline std::string pickled_tuple(const std::vector<int64_t>& numbers) {
  std::string text = "(";
  for (const int64_t number : numbers) text += pickled_number(number);
  return text + "t";
}
/// `key`: the file's name in data/. `elements`: bytes for an UntypedStorage.
inline std::string pickled_storage(std::string_view key, int64_t elements,
                                   std::string_view type = "FloatStorage",
                                   std::string_view module = "torch") {
  return joined({"(", pickled_text("storage"), pickled_global(module, type), pickled_text(key),
                 pickled_text("cpu"), pickled_number(elements), "tQ"});
}
/// `storage`: what pickled_storage gave.
inline std::string pickled_tensor(std::string_view storage, int64_t offset,
                                  const std::vector<int64_t>& shape,
                                  const std::vector<int64_t>& strides) {
  return joined({pickled_global("torch._utils", "_rebuild_tensor_v2"), "(", storage,
                 pickled_number(offset), pickled_tuple(shape), pickled_tuple(strides), "\x89}tR"});
}
inline std::string pickled_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string text = "}(";
  for (const auto& [name, value] : items) text += pickled_text(name) + value;
  return text + "u";
}
inline std::string pickle(std::string_view value) { return joined({"\x80\x04", value, "."}); }

}  // namespace elastikv
