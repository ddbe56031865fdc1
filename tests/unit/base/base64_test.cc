#include "base/base64.h"

#include <string>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

using namespace std::string_literals;

TEST(Base64, DecodesTheVectorsOfItsSpecification) {
  // RFC 4648, section 10.
  EXPECT_EQ(decode_base64("Zg=="), "f");
  EXPECT_EQ(decode_base64("Zm8="), "fo");
  EXPECT_EQ(decode_base64("Zm9v"), "foo");
  EXPECT_EQ(decode_base64("Zm9vYg=="), "foob");
  EXPECT_EQ(decode_base64("Zm9vYmE="), "fooba");
  EXPECT_EQ(decode_base64("Zm9vYmFy"), "foobar");
  EXPECT_EQ(decode_base64("AP+/+w=="), "\0\xff\xbf\xfb"s);
}

TEST(Base64, RefusesWhatIsMalformed) {
  for (const char* text : {"", "Z", "Zg", "Zg=", "Zm9v\n", "Zm 9v===", "Zm9-",
                           "Z===", "====", "Zg==Zg==", "Zm9v\xc3\xa9==", "=m9v"}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

}  // namespace
}  // namespace elastikv
