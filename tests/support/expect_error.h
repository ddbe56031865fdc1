#pragma once

#include <string>

#include <gtest/gtest.h>

#include "base/error.h"

/// Runs a statement that must throw elastikv::Error and checks its whole message.
#define EXPECT_ERROR(statement, expected)                           \
  do {                                                              \
    try {                                                           \
      statement;                                                    \
      ADD_FAILURE() << "no Error from: " #statement;                \
    } catch (const ::elastikv::Error& error_) {                     \
      EXPECT_EQ(std::string(error_.what()), std::string(expected)); \
    }                                                               \
  } while (false)

/// The same, but the message only has to contain a text (for messages with a path or a system's
/// reason in them).
#define EXPECT_ERROR_CONTAINS(statement, expected)                            \
  do {                                                                        \
    try {                                                                     \
      statement;                                                              \
      ADD_FAILURE() << "no Error from: " #statement;                          \
    } catch (const ::elastikv::Error& error_) {                               \
      EXPECT_NE(std::string(error_.what()).find(expected), std::string::npos) \
          << "message: " << error_.what();                                    \
    }                                                                         \
  } while (false)
