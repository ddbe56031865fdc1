#include "base/utf8.h"

#include <cstdint>

namespace elastikv {

Utf8Step utf8_step(std::string_view text, size_t position) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(position);
  Utf8Step step;
  step.size = 1;
  if (lead < 0x80) {
    step.valid = true;
    step.character = lead;
    return step;
  }
  size_t length = 0;
  char32_t value = 0;
  // The second byte has a narrower range after some lead bytes: no overlong forms, no surrogates.
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    value = lead & 0x1F;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    value = lead & 0x0F;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    value = lead & 0x07;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return step;
  }
  for (size_t i = 1; i < length; ++i) {
    if (position + i == text.size()) {
      step.cut_short = true;
      return step;
    }
    const unsigned char next = byte(position + i);
    if (next < low || next > high) return step;
    low = 0x80;
    high = 0xBF;
    value = (value << 6) | (next & 0x3F);
    step.size = i + 1;
  }
  step.valid = true;
  step.character = value;
  return step;
}

void append_utf8(std::string& text, char32_t character) {
  const auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (character < 0x80) {
    put(character);
  } else if (character < 0x800) {
    put(0xC0 | (character >> 6));
    put(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    put(0xE0 | (character >> 12));
    put(0x80 | ((character >> 6) & 0x3F));
    put(0x80 | (character & 0x3F));
  } else {
    put(0xF0 | (character >> 18));
    put(0x80 | ((character >> 12) & 0x3F));
    put(0x80 | ((character >> 6) & 0x3F));
    put(0x80 | (character & 0x3F));
  }
}

std::string replace_broken_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (step.valid) {
      result.append(text.substr(at, step.size));
    } else {
      append_utf8(result, U'\uFFFD');
    }
    at += step.size;
  }
  return result;
}

size_t find_broken_utf8(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    const Utf8Step step = utf8_step(text, position);
    if (!step.valid) return position;
    position += step.size;
  }
  return std::string_view::npos;
}

bool is_valid_utf8(std::string_view text) {
  return find_broken_utf8(text) == std::string_view::npos;
}

std::vector<char32_t> to_characters(std::string_view text) {
  std::vector<char32_t> characters;
  characters.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    characters.push_back(step.character);
    at += step.size;
  }
  return characters;
}

}  // namespace elastikv
