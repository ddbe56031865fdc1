#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weights/pickle_objects.h"

namespace elastikv {

/// Runs the instructions of a pickle (protocol 2 to 5) on a stack of values, those alone that a
/// dictionary of tensors needs. Time and memory are proportional to the pickle's bytes whatever it
/// holds.
class PickleMachine final {
 public:
  /// `pickle` outlives the objects, which are made of it.
  PickleMachine(std::string_view pickle, PickleObjects& objects)
      : pickle_(pickle), objects_(objects) {}

  /// What the pickle comes to. Error for one that is cut off, broken or larger in any way than a
  /// state dict could be, and for other instructions and names than a state dict needs.
  PickleValue run();

 private:
  // Reading the pickle.
  std::string_view read(uint64_t size);
  template <typename T>
  T read_number();
  std::string_view read_line();
  int64_t read_long();

  // The stack.
  void push(PickleValue value);
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue& top();
  PickleValue pop();
  std::vector<PickleValue> pop_last(size_t count);
  std::vector<PickleValue> pop_to_mark();

  // The memo.
  void memorize(uint64_t place);
  void push_memorized(uint64_t place);

  /// Runs one instruction; false after the last.
  bool step();
  /// False when the instruction is none of these.
  bool step_scalar(uint8_t opcode);
  bool step_object(uint8_t opcode);

  std::string_view pickle_;
  PickleObjects& objects_;
  size_t at_ = 0;
  std::vector<PickleValue> stack_;
  std::vector<size_t> marks_;  // stack sizes
  std::unordered_map<uint64_t, PickleValue> memo_;
};

}  // namespace elastikv
