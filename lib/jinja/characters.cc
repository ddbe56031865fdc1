#include "jinja/characters.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>

#include <utf8proc.h>

#include "base/error.h"
#include "base/utf8.h"

namespace elastikv::jinja {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// Unicode 14, as Python 3.11 has it: what its properties say beyond the general category.
constexpr Range kOtherLower[]{
    {0xaa, 0xaa},       {0xba, 0xba},       {0x2b0, 0x2b8},     {0x2c0, 0x2c1},    {0x2e0, 0x2e4},
    {0x345, 0x345},     {0x37a, 0x37a},     {0x1d2c, 0x1d6a},   {0x1d78, 0x1d78},  {0x1d9b, 0x1dbf},
    {0x2071, 0x2071},   {0x207f, 0x207f},   {0x2090, 0x209c},   {0x2170, 0x217f},  {0x24d0, 0x24e9},
    {0x2c7c, 0x2c7d},   {0xa69c, 0xa69d},   {0xa770, 0xa770},   {0xa7f8, 0xa7f9},  {0xab5c, 0xab5f},
    {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107b0}, {0x107b2, 0x107ba}};
constexpr Range kOtherUpper[]{
    {0x2160, 0x216f}, {0x24b6, 0x24cf}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};
constexpr Range kOtherDigits[]{
    {0xb2, 0xb3},       {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},
    {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
    {0x2474, 0x247c},   {0x2488, 0x2490},   {0x24ea, 0x24ea},   {0x24f5, 0x24fd},
    {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},   {0x278a, 0x2792},
    {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a}};
constexpr Range kNumericLetters[]{
    {0x3405, 0x3405},   {0x3483, 0x3483},   {0x382a, 0x382a},   {0x3b4d, 0x3b4d},
    {0x4e00, 0x4e00},   {0x4e03, 0x4e03},   {0x4e07, 0x4e07},   {0x4e09, 0x4e09},
    {0x4e5d, 0x4e5d},   {0x4e8c, 0x4e8c},   {0x4e94, 0x4e94},   {0x4e96, 0x4e96},
    {0x4ebf, 0x4ec0},   {0x4edf, 0x4edf},   {0x4ee8, 0x4ee8},   {0x4f0d, 0x4f0d},
    {0x4f70, 0x4f70},   {0x5104, 0x5104},   {0x5146, 0x5146},   {0x5169, 0x5169},
    {0x516b, 0x516b},   {0x516d, 0x516d},   {0x5341, 0x5341},   {0x5343, 0x5345},
    {0x534c, 0x534c},   {0x53c1, 0x53c4},   {0x56db, 0x56db},   {0x58f1, 0x58f1},
    {0x58f9, 0x58f9},   {0x5e7a, 0x5e7a},   {0x5efe, 0x5eff},   {0x5f0c, 0x5f0e},
    {0x5f10, 0x5f10},   {0x62fe, 0x62fe},   {0x634c, 0x634c},   {0x67d2, 0x67d2},
    {0x6f06, 0x6f06},   {0x7396, 0x7396},   {0x767e, 0x767e},   {0x8086, 0x8086},
    {0x842c, 0x842c},   {0x8cae, 0x8cae},   {0x8cb3, 0x8cb3},   {0x8d30, 0x8d30},
    {0x9621, 0x9621},   {0x9646, 0x9646},   {0x964c, 0x964c},   {0x9678, 0x9678},
    {0x96f6, 0x96f6},   {0xf96b, 0xf96b},   {0xf973, 0xf973},   {0xf978, 0xf978},
    {0xf9b2, 0xf9b2},   {0xf9d1, 0xf9d1},   {0xf9d3, 0xf9d3},   {0xf9fd, 0xf9fd},
    {0x20001, 0x20001}, {0x20064, 0x20064}, {0x200e2, 0x200e2}, {0x20121, 0x20121},
    {0x2092a, 0x2092a}, {0x20983, 0x20983}, {0x2098c, 0x2098c}, {0x2099c, 0x2099c},
    {0x20aea, 0x20aea}, {0x20afd, 0x20afd}, {0x20b19, 0x20b19}, {0x22390, 0x22390},
    {0x22998, 0x22998}, {0x23b1b, 0x23b1b}, {0x2626d, 0x2626d}, {0x2f890, 0x2f890}};
// Case_Ignorable beyond the categories Mn, Me, Cf, Lm and Sk: what may stand between a sigma and
// the letters that decide on it.
constexpr Range kOtherIgnorable[]{
    {0x27, 0x27},     {0x2e, 0x2e},     {0x3a, 0x3a},     {0xb7, 0xb7},
    {0x387, 0x387},   {0x55f, 0x55f},   {0x5f4, 0x5f4},   {0x2018, 0x2019},
    {0x2024, 0x2024}, {0x2027, 0x2027}, {0xfe13, 0xfe13}, {0xfe52, 0xfe52},
    {0xfe55, 0xfe55}, {0xff07, 0xff07}, {0xff0e, 0xff0e}, {0xff1a, 0xff1a}};

template <size_t N>
bool is_in(const Range (&ranges)[N], char32_t character) {
  const Range* const range =
      std::lower_bound(std::begin(ranges), std::end(ranges), character,
                       [](const Range& one, char32_t value) { return one.last < value; });
  return range != std::end(ranges) && character >= range->first;
}

utf8proc_category_t category(char32_t character) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(character));
}

bool is_ignorable(char32_t character) {
  switch (category(character)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return is_in(kOtherIgnorable, character);
  }
}

/// Whether the sigma between bytes `at` and `end` ends a word.
bool is_final_sigma(std::string_view text, size_t at, size_t end) {
  while (at > 0) {
    at = before(text, at);
    const char32_t previous = character_at(text, at);
    if (is_ignorable(previous)) continue;
    if (!is_cased(previous)) return false;
    for (; end < text.size(); end += character_size(text[end])) {
      const char32_t next = character_at(text, end);
      if (!is_ignorable(next)) return !is_cased(next);
    }
    return true;
  }
  return false;
}

void append_upper(std::string& out, char32_t character) {
  if (const SpecialCase* special = special_case(character)) {
    out += special->upper;
  } else {
    append_utf8(out,
                static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(character))));
  }
}

void append_title(std::string& out, char32_t character) {
  const SpecialCase* special = special_case(character);
  if (special != nullptr && special->title != nullptr) {
    out += special->title;
  } else {
    append_utf8(out,
                static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(character))));
  }
}

/// `text` is what the character at byte `at` stands in.
void append_lower(std::string& out, std::string_view text, size_t at) {
  constexpr char32_t kSigma = U'\u03a3';
  constexpr char32_t kDottedI = U'\u0130';
  const char32_t character = character_at(text, at);
  if (character == kSigma) {
    out += is_final_sigma(text, at, at + character_size(text[at])) ? "\u03c2" : "\u03c3";
  } else if (character == kDottedI) {
    out += "i\u0307";
  } else {
    append_utf8(out,
                static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character))));
  }
}

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};

}  // namespace

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

char32_t character_at(std::string_view text, size_t at) { return utf8_step(text, at).character; }

size_t before(std::string_view text, size_t at) {
  do {
    --at;
  } while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

bool is_space(char32_t c) {
  if (c < 0x80) return (c >= 0x9 && c <= 0xD) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_line_end(char32_t c) {
  return (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool is_alpha(char32_t character) {
  switch (category(character)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return true;
    default:
      return false;
  }
}

bool is_decimal(char32_t character) { return category(character) == UTF8PROC_CATEGORY_ND; }

bool is_digit(char32_t character) {
  return is_decimal(character) || is_in(kOtherDigits, character);
}

bool is_numeric(char32_t character) {
  const auto kind = category(character);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO || is_in(kNumericLetters, character);
}

bool is_alnum(char32_t character) { return is_alpha(character) || is_numeric(character); }

bool is_lower(char32_t character) {
  return category(character) == UTF8PROC_CATEGORY_LL || is_in(kOtherLower, character);
}

bool is_upper(char32_t character) {
  return category(character) == UTF8PROC_CATEGORY_LU || is_in(kOtherUpper, character);
}

bool is_title(char32_t character) { return category(character) == UTF8PROC_CATEGORY_LT; }

bool is_cased(char32_t character) {
  return is_lower(character) || is_upper(character) || is_title(character);
}

bool is_printable(char32_t character) {
  if (character == U' ') return true;
  switch (category(character)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_identifier_start(char32_t character) {
  return character == U'_' || is_alpha(character) || category(character) == UTF8PROC_CATEGORY_NL;
}

bool is_identifier_part(char32_t character) {
  if (is_identifier_start(character)) return true;
  switch (category(character)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return character == U'\u00b7' || character == U'\u0387';
  }
}

std::string upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    append_upper(out, character_at(text, at));
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    append_lower(out, text, at);
  }
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_word = false;
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const char32_t character = character_at(text, at);
    if (in_word) {
      append_lower(out, text, at);
    } else {
      append_title(out, character);
    }
    in_word = is_cased(character);
  }
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    if (at == 0) {
      append_title(out, character_at(text, at));
    } else {
      append_lower(out, text, at);
    }
  }
  return out;
}

std::string swapcase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size(); at += character_size(text[at])) {
    const char32_t character = character_at(text, at);
    if (is_upper(character)) {
      append_lower(out, text, at);
    } else if (is_lower(character)) {
      append_upper(out, character);
    } else {
      append_utf8(out, character);
    }
  }
  return out;
}

std::string casefold(std::string_view text) {
  utf8proc_uint8_t* memory = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &memory, UTF8PROC_CASEFOLD);
  const std::unique_ptr<utf8proc_uint8_t, FreeDeleter> owner(memory);
  ELASTIKV_ASSERT(size >= 0, "utf8proc: {}", utf8proc_errmsg(size));
  return {reinterpret_cast<const char*>(memory), static_cast<size_t>(size)};
}

std::string_view strip(std::string_view text, bool left, bool right) {
  size_t begin = 0;
  size_t end = text.size();
  while (left && begin < end && is_space(character_at(text, begin))) {
    begin += character_size(text[begin]);
  }
  while (right && end > begin) {
    const size_t last = before(text, end);
    if (!is_space(character_at(text, last))) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  if (part.size() > text.size() - from) return std::string_view::npos;
  // glibc's memmem takes linear time; std::string_view::find may take quadratic. It may not be
  // given null, which an empty view's data can be.
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t find_last(std::string_view text, std::string_view part) {
  const std::string backwards(text.rbegin(), text.rend());
  const std::string part_backwards(part.rbegin(), part.rend());
  const size_t found = find_text(backwards, part_backwards);
  if (found == std::string_view::npos) return found;
  return text.size() - found - part.size();
}

}  // namespace elastikv::jinja
