#include "weights/zip_archive.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "weights/tensor_names.h"

namespace elastikv {
namespace {

constexpr uint32_t kMemberSignature = 0x04034b50;
constexpr uint32_t kEntrySignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kWideEndSignature = 0x06064b50;
constexpr uint32_t kWideLocatorSignature = 0x07064b50;
constexpr size_t kMemberBytes = 30;
constexpr size_t kEntryBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kWideEndBytes = 56;
constexpr size_t kWideLocatorBytes = 20;
constexpr size_t kLongestComment = 0xFFFF;
// A field of this value is found in the zip64 record instead.
constexpr uint64_t kElsewhere16 = 0xFFFF;
constexpr uint64_t kElsewhere32 = 0xFFFFFFFF;
constexpr uint16_t kWideExtra = 1;

template <typename T>
T number_at(std::string_view bytes, size_t offset) {
  ELASTIKV_ASSERT(offset <= bytes.size() && sizeof(T) <= bytes.size() - offset,
                  "byte {} of {} is read", offset, bytes.size());
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

/// Whether `size` bytes from `offset` lie before `end`.
bool fits(uint64_t offset, uint64_t size, uint64_t end) {
  return offset <= end && size <= end - offset;
}

struct Directory {
  uint64_t entries;
  uint64_t offset;
  uint64_t bytes;
};

struct Entry {
  std::string name;
  uint64_t stored_bytes;
  uint64_t bytes;
  uint64_t header;
};

class ZipReader final {
 public:
  ZipReader(std::string_view bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  std::map<std::string, std::string_view, std::less<>> read() const {
    const Directory directory = find_directory();
    std::map<std::string, std::string_view, std::less<>> members;
    uint64_t at = directory.offset;
    const uint64_t end = directory.offset + directory.bytes;
    for (uint64_t i = 0; i < directory.entries; ++i) {
      const Entry entry = read_entry(at, end);
      const std::string_view member = member_bytes(entry, directory.offset);
      if (!members.emplace(entry.name, member).second)
        fail("{}: member '{}' is there twice", file_, printable_name(entry.name));
    }
    if (at != end) damaged("{} bytes follow its last entry", end - at);
    check_overlaps(members);
    return members;
  }

 private:
  template <typename... Args>
  [[noreturn]] void damaged(fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}: the zip archive's directory is damaged: {}", file_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  /// The end record is the last thing in the file but for a comment.
  size_t find_end() const {
    if (bytes_.size() >= kEndBytes) {
      const size_t last = bytes_.size() - kEndBytes;
      const size_t first = last - std::min(last, kLongestComment);
      for (size_t at = last + 1; at-- > first;) {
        if (number_at<uint32_t>(bytes_, at) == kEndSignature &&
            number_at<uint16_t>(bytes_, at + 20) == last - at) {
          return at;
        }
      }
    }
    if (bytes_.starts_with("PK\x03\x04"))
      fail("{}: a zip archive without its directory at the end (is it cut off?)", file_);
    fail("{}: not a zip archive, which torch.save writes", file_);
  }

  Directory find_directory() const {
    const size_t end = find_end();
    Directory directory{number_at<uint16_t>(bytes_, end + 10),
                        number_at<uint32_t>(bytes_, end + 16),
                        number_at<uint32_t>(bytes_, end + 12)};
    size_t directory_end = end;
    if (end >= kWideLocatorBytes &&
        number_at<uint32_t>(bytes_, end - kWideLocatorBytes) == kWideLocatorSignature) {
      const size_t locator = end - kWideLocatorBytes;
      const auto wide = number_at<uint64_t>(bytes_, locator + 8);
      if (!fits(wide, kWideEndBytes, locator) ||
          number_at<uint32_t>(bytes_, wide) != kWideEndSignature) {
        damaged("no zip64 record at byte {}", wide);
      }
      const auto take = [&](uint64_t& field, uint64_t elsewhere, size_t offset) {
        const auto value = number_at<uint64_t>(bytes_, wide + offset);
        if (field != elsewhere && field != value)
          damaged("its two end records say {} and {}", field, value);
        field = value;
      };
      take(directory.entries, kElsewhere16, 32);
      take(directory.bytes, kElsewhere32, 40);
      take(directory.offset, kElsewhere32, 48);
      directory_end = wide;
    }
    if (!fits(directory.offset, directory.bytes, directory_end)) {
      damaged("{} bytes from byte {} reach beyond byte {}, where it ends", directory.bytes,
              directory.offset, directory_end);
    }
    return directory;
  }

  /// Reads the entry at `at` and moves `at` behind it.
  Entry read_entry(uint64_t& at, uint64_t end) const {
    if (!fits(at, kEntryBytes, end) || number_at<uint32_t>(bytes_, at) != kEntrySignature)
      damaged("no entry at byte {}", at);
    const auto flags = number_at<uint16_t>(bytes_, at + 8);
    const auto method = number_at<uint16_t>(bytes_, at + 10);
    const uint64_t name_bytes = number_at<uint16_t>(bytes_, at + 28);
    const uint64_t extra_bytes = number_at<uint16_t>(bytes_, at + 30);
    const uint64_t comment_bytes = number_at<uint16_t>(bytes_, at + 32);
    const uint64_t tail = name_bytes + extra_bytes + comment_bytes;
    if (!fits(at + kEntryBytes, tail, end)) damaged("the entry at byte {} is too long", at);
    Entry entry{std::string(bytes_.substr(at + kEntryBytes, name_bytes)),
                number_at<uint32_t>(bytes_, at + 20), number_at<uint32_t>(bytes_, at + 24),
                number_at<uint32_t>(bytes_, at + 42)};
    widen(entry, bytes_.substr(at + kEntryBytes + name_bytes, extra_bytes));
    if ((flags & 1U) != 0) fail("{}: member '{}' is encrypted", file_, printable_name(entry.name));
    if (method != 0 || entry.stored_bytes != entry.bytes) {
      fail("{}: member '{}' is compressed (method {}, {} bytes as {}); torch.save stores all as is",
           file_, printable_name(entry.name), method, entry.bytes, entry.stored_bytes);
    }
    at += kEntryBytes + tail;
    return entry;
  }

  /// Fields that 32 bits do not hold are in the entry's zip64 extra field, in this order.
  void widen(Entry& entry, std::string_view extra) const {
    std::vector<uint64_t*> fields;
    for (uint64_t* field : {&entry.bytes, &entry.stored_bytes, &entry.header}) {
      if (*field == kElsewhere32) fields.push_back(field);
    }
    if (fields.empty()) return;
    while (extra.size() >= 4) {
      const auto kind = number_at<uint16_t>(extra, 0);
      const size_t size = number_at<uint16_t>(extra, 2);
      extra.remove_prefix(4);
      if (size > extra.size()) break;
      if (kind == kWideExtra && size >= fields.size() * sizeof(uint64_t)) {
        for (size_t i = 0; i < fields.size(); ++i)
          *fields[i] = number_at<uint64_t>(extra, i * sizeof(uint64_t));
        return;
      }
      extra.remove_prefix(size);
    }
    damaged("member '{}' lacks its zip64 field", printable_name(entry.name));
  }

  /// The member's bytes, which its own header precedes. `end`: where the members end.
  std::string_view member_bytes(const Entry& entry, uint64_t end) const {
    const std::string name = printable_name(entry.name);
    if (!fits(entry.header, kMemberBytes, end) ||
        number_at<uint32_t>(bytes_, entry.header) != kMemberSignature) {
      damaged("member '{}' is not at byte {}", name, entry.header);
    }
    const uint64_t name_bytes = number_at<uint16_t>(bytes_, entry.header + 26);
    const uint64_t extra_bytes = number_at<uint16_t>(bytes_, entry.header + 28);
    const uint64_t begin = entry.header + kMemberBytes + name_bytes + extra_bytes;
    if (!fits(begin, entry.bytes, end)) {
      damaged("member '{}' of {} bytes from byte {} reaches beyond byte {}, where the members end",
              name, entry.bytes, begin, end);
    }
    if (bytes_.substr(entry.header + kMemberBytes, name_bytes) != entry.name)
      damaged("member '{}' has another name at byte {}", name, entry.header);
    return bytes_.substr(begin, entry.bytes);
  }

  void check_overlaps(const std::map<std::string, std::string_view, std::less<>>& members) const {
    std::vector<std::pair<std::string_view, const std::string*>> ranges;
    ranges.reserve(members.size());
    for (const auto& [name, member] : members) {
      if (!member.empty()) ranges.emplace_back(member, &name);
    }
    std::sort(ranges.begin(), ranges.end(),
              [](const auto& a, const auto& b) { return a.first.data() < b.first.data(); });
    for (size_t i = 1; i < ranges.size(); ++i) {
      const auto& [before, before_name] = ranges[i - 1];
      if (ranges[i].first.data() < before.data() + before.size()) {
        damaged("members '{}' and '{}' overlap", printable_name(*before_name),
                printable_name(*ranges[i].second));
      }
    }
  }

  std::string_view bytes_;
  std::string_view file_;
};

}  // namespace

std::map<std::string, std::string_view, std::less<>> read_zip(std::string_view bytes,
                                                              std::string_view file) {
  return ZipReader(bytes, file).read();
}

}  // namespace elastikv
