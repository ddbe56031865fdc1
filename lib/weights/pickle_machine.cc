#include "weights/pickle_machine.h"

#include <cstring>

namespace elastikv {
namespace {

// Python's pickler hands over at most 1000 items at once, torch's own all that there are.
constexpr size_t kDeepestStack = 1'000'000;
constexpr size_t kMostMarks = 100;

using Kind = PickleValue::Kind;

/// The instructions of a pickle that a state dict can need.
struct Opcode {
  enum : uint8_t {
    kMark = '(',
    kStop = '.',
    kPop = '0',
    kPopMark = '1',
    kDup = '2',
    kBinFloat = 'G',
    kBinInt = 'J',
    kBinInt1 = 'K',
    kBinInt2 = 'M',
    kNone = 'N',
    kBinPersId = 'Q',
    kReduce = 'R',
    kBinString = 'T',
    kShortBinString = 'U',
    kBinUnicode = 'X',
    kAppend = 'a',
    kBuild = 'b',
    kGlobal = 'c',
    kAppends = 'e',
    kBinGet = 'h',
    kLongBinGet = 'j',
    kEmptyList = ']',
    kBinPut = 'q',
    kLongBinPut = 'r',
    kSetItem = 's',
    kTuple = 't',
    kSetItems = 'u',
    kEmptyDict = '}',
    kEmptyTuple = ')',
    kBinBytes = 'B',
    kShortBinBytes = 'C',
    kProto = 0x80,
    kTuple1 = 0x85,
    kTuple2 = 0x86,
    kTuple3 = 0x87,
    kNewTrue = 0x88,
    kNewFalse = 0x89,
    kLong1 = 0x8a,
    kShortBinUnicode = 0x8c,
    kBinUnicode8 = 0x8d,
    kBinBytes8 = 0x8e,
    kStackGlobal = 0x93,
    kMemoize = 0x94,
    kFrame = 0x95,
  };
};

}  // namespace

PickleValue PickleMachine::run() {
  while (step()) {
  }
  if (at_ != pickle_.size()) objects_.problem("{} bytes follow the end", pickle_.size() - at_);
  if (stack_.size() != 1 || !marks_.empty()) objects_.problem("ends with {} values", stack_.size());
  return stack_.front();
}

std::string_view PickleMachine::read(uint64_t size) {
  if (size > pickle_.size() - at_) objects_.problem("ends in the middle (is it cut off?)");
  const std::string_view bytes = pickle_.substr(at_, size);
  at_ += size;
  return bytes;
}

template <typename T>
T PickleMachine::read_number() {
  const std::string_view bytes = read(sizeof(T));
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

std::string_view PickleMachine::read_line() {
  const size_t end = pickle_.find('\n', at_);
  if (end == std::string_view::npos) objects_.problem("ends in the middle (is it cut off?)");
  const std::string_view line = pickle_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

/// A number of any length, little-endian with a sign.
int64_t PickleMachine::read_long() {
  const std::string_view bytes = read(read_number<uint8_t>());
  if (bytes.size() > sizeof(int64_t)) objects_.problem("a number of {} bytes", bytes.size());
  if (bytes.empty()) return 0;
  uint64_t value = (static_cast<unsigned char>(bytes.back()) & 0x80U) != 0 ? ~uint64_t{0} : 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return static_cast<int64_t>(value);
}

void PickleMachine::push(PickleValue value) {
  if (stack_.size() >= kDeepestStack)
    objects_.problem("holds more than {} values at once", kDeepestStack);
  stack_.push_back(value);
}

PickleValue& PickleMachine::top() {
  if (stack_.size() <= floor()) objects_.problem("takes a value that is not there");
  return stack_.back();
}

PickleValue PickleMachine::pop() {
  const PickleValue value = top();
  stack_.pop_back();
  return value;
}

std::vector<PickleValue> PickleMachine::pop_last(size_t count) {
  if (stack_.size() - floor() < count) objects_.problem("takes a value that is not there");
  std::vector<PickleValue> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return values;
}

std::vector<PickleValue> PickleMachine::pop_to_mark() {
  if (marks_.empty()) objects_.problem("takes a mark that is not there");
  std::vector<PickleValue> values = pop_last(stack_.size() - floor());
  marks_.pop_back();
  return values;
}

void PickleMachine::memorize(uint64_t place) {
  const PickleValue value = top();
  if (memo_.insert_or_assign(place, value).second) objects_.charge();
}

void PickleMachine::push_memorized(uint64_t place) {
  const auto found = memo_.find(place);
  if (found == memo_.end()) objects_.problem("asks for value {}, which was not kept", place);
  push(found->second);
}

bool PickleMachine::step() {
  objects_.begin_instruction(at_);
  const auto opcode = read_number<uint8_t>();
  switch (opcode) {
    case Opcode::kStop:
      return false;
    case Opcode::kProto:
      if (const auto protocol = read_number<uint8_t>(); protocol < 2 || protocol > 5)
        objects_.problem("protocol {} is not read; 2 to 5 are", protocol);
      break;
    case Opcode::kFrame:
      if (const auto size = read_number<uint64_t>(); size > pickle_.size() - at_)
        objects_.problem("ends in the middle (is it cut off?)");
      break;
    case Opcode::kMark:
      if (marks_.size() >= kMostMarks)
        objects_.problem("is nested deeper than {} levels", kMostMarks);
      marks_.push_back(stack_.size());
      break;
    case Opcode::kPop:
      pop();
      break;
    case Opcode::kPopMark:
      pop_to_mark();
      break;
    case Opcode::kDup:
      push(top());
      break;
    case Opcode::kBinGet:
      push_memorized(read_number<uint8_t>());
      break;
    case Opcode::kLongBinGet:
      push_memorized(read_number<uint32_t>());
      break;
    case Opcode::kBinPut:
      memorize(read_number<uint8_t>());
      break;
    case Opcode::kLongBinPut:
      memorize(read_number<uint32_t>());
      break;
    case Opcode::kMemoize:
      memorize(memo_.size());
      break;
    default:
      if (!step_scalar(opcode) && !step_object(opcode)) {
        objects_.problem("instruction {:#04x} is not one that a dictionary of tensors needs",
                         opcode);
      }
  }
  return true;
}

bool PickleMachine::step_scalar(uint8_t opcode) {
  switch (opcode) {
    case Opcode::kNone:
      push({});
      return true;
    case Opcode::kNewTrue:
    case Opcode::kNewFalse:
      push({Kind::kBool, opcode == Opcode::kNewTrue ? 1 : 0});
      return true;
    case Opcode::kBinInt:
      push({Kind::kInt, read_number<int32_t>()});
      return true;
    case Opcode::kBinInt1:
      push({Kind::kInt, read_number<uint8_t>()});
      return true;
    case Opcode::kBinInt2:
      push({Kind::kInt, read_number<uint16_t>()});
      return true;
    case Opcode::kLong1:
      push({Kind::kInt, read_long()});
      return true;
    case Opcode::kBinFloat:
      read(sizeof(double));
      push({Kind::kFloat});
      return true;
    case Opcode::kShortBinString:
    case Opcode::kShortBinUnicode:
      push(objects_.make_text(read(read_number<uint8_t>())));
      return true;
    case Opcode::kBinString:
    case Opcode::kBinUnicode:
      push(objects_.make_text(read(read_number<uint32_t>())));
      return true;
    case Opcode::kBinUnicode8:
      push(objects_.make_text(read(read_number<uint64_t>())));
      return true;
    case Opcode::kShortBinBytes:
      read(read_number<uint8_t>());
      push({Kind::kBytes});
      return true;
    case Opcode::kBinBytes:
      read(read_number<uint32_t>());
      push({Kind::kBytes});
      return true;
    case Opcode::kBinBytes8:
      read(read_number<uint64_t>());
      push({Kind::kBytes});
      return true;
    default:
      return false;
  }
}

bool PickleMachine::step_object(uint8_t opcode) {
  switch (opcode) {
    case Opcode::kGlobal: {
      const std::string_view module = read_line();
      push(objects_.make_global(module, read_line()));
      return true;
    }
    case Opcode::kStackGlobal: {
      const size_t name = objects_.text_index(pop(), "a name");
      const size_t module = objects_.text_index(pop(), "a module");
      push(objects_.make_global(objects_.text(module), objects_.text(name)));
      return true;
    }
    case Opcode::kEmptyTuple:
      push(objects_.make_sequence(Kind::kTuple, {}));
      return true;
    case Opcode::kTuple1:
    case Opcode::kTuple2:
    case Opcode::kTuple3:
      push(objects_.make_sequence(Kind::kTuple, pop_last(size_t{1} + opcode - Opcode::kTuple1)));
      return true;
    case Opcode::kTuple:
      push(objects_.make_sequence(Kind::kTuple, pop_to_mark()));
      return true;
    case Opcode::kEmptyList:
      push(objects_.make_sequence(Kind::kList, {}));
      return true;
    case Opcode::kAppend: {
      const PickleValue value = pop();
      objects_.append(top(), {value});
      return true;
    }
    case Opcode::kAppends: {
      const std::vector<PickleValue> values = pop_to_mark();
      objects_.append(top(), values);
      return true;
    }
    case Opcode::kEmptyDict:
      push(objects_.make_dict({}));
      return true;
    case Opcode::kSetItem: {
      const std::vector<PickleValue> values = pop_last(2);
      objects_.set_items(top(), values);
      return true;
    }
    case Opcode::kSetItems: {
      const std::vector<PickleValue> values = pop_to_mark();
      objects_.set_items(top(), values);
      return true;
    }
    case Opcode::kReduce: {
      const PickleValue arguments = pop();
      push(objects_.call(pop(), arguments));
      return true;
    }
    case Opcode::kBuild: {
      // Attributes of a dictionary, such as _metadata of a state_dict().
      const PickleValue state = pop();
      if (top().kind != Kind::kDict) objects_.problem("gives {} attributes", kind_text(top().kind));
      if (state.kind != Kind::kDict) objects_.problem("attributes are {}", kind_text(state.kind));
      return true;
    }
    case Opcode::kBinPersId:
      push(objects_.make_storage(pop()));
      return true;
    default:
      return false;
  }
}

}  // namespace elastikv
