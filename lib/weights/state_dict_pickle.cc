#include "weights/state_dict_pickle.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "weights/tensor_names.h"

namespace elastikv {
namespace {

// A tensor takes about 22 objects, texts and notes in 300 bytes; the largest models have some tens
// of thousands of tensors.
constexpr size_t kLongestPickle = 100'000'000;
constexpr size_t kMostObjects = 4'000'000;
constexpr size_t kMostTensors = 200'000;
// Python's pickler hands over at most 1000 items at once, torch's own all that there are.
constexpr size_t kDeepestStack = 1'000'000;
constexpr size_t kMostMarks = 100;
// torch's operators take no more.
constexpr size_t kMostDimensions = 64;

enum class Kind {
  kNone,
  kBool,
  kInt,
  kFloat,
  kText,     // index into texts_
  kBytes,    // nothing is kept of it
  kTuple,    // index into sequences_
  kList,     // the same
  kDict,     // index into dicts_
  kGlobal,   // index into kGlobals
  kStorage,  // index into storages_
  kTensor,   // index into tensors_
};

const char* kind_text(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "a boolean";
    case Kind::kInt:
    case Kind::kFloat:
      return "a number";
    case Kind::kText:
      return "a text";
    case Kind::kBytes:
      return "bytes";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kDict:
      return "a dictionary";
    case Kind::kGlobal:
      return "a type or function";
    case Kind::kStorage:
      return "a storage";
    case Kind::kTensor:
      return "a tensor";
  }
  return "";
}

struct Value {
  Kind kind = Kind::kNone;
  int64_t number = 0;  // the value of an integer or boolean, or an index

  size_t index() const { return static_cast<size_t>(number); }
};

enum class Role {
  kOrderedDict,
  kSize,
  kTensorV2,
  kTensorV3,
  kParameter,
  kStorageType,
  kUntypedStorage,
  kDtype,
};

struct Global {
  std::string_view module;
  std::string_view name;
  Role role;
  c10::ScalarType type = c10::ScalarType::Undefined;
};

constexpr std::array kGlobals{
    Global{"collections", "OrderedDict", Role::kOrderedDict},
    Global{"torch", "Size", Role::kSize},
    Global{"torch._utils", "_rebuild_tensor_v2", Role::kTensorV2},
    Global{"torch._utils", "_rebuild_tensor_v3", Role::kTensorV3},
    Global{"torch._utils", "_rebuild_parameter", Role::kParameter},
    Global{"torch", "DoubleStorage", Role::kStorageType, c10::ScalarType::Double},
    Global{"torch", "FloatStorage", Role::kStorageType, c10::ScalarType::Float},
    Global{"torch", "HalfStorage", Role::kStorageType, c10::ScalarType::Half},
    Global{"torch", "BFloat16Storage", Role::kStorageType, c10::ScalarType::BFloat16},
    Global{"torch", "LongStorage", Role::kStorageType, c10::ScalarType::Long},
    Global{"torch", "IntStorage", Role::kStorageType, c10::ScalarType::Int},
    Global{"torch", "ShortStorage", Role::kStorageType, c10::ScalarType::Short},
    Global{"torch", "CharStorage", Role::kStorageType, c10::ScalarType::Char},
    Global{"torch", "ByteStorage", Role::kStorageType, c10::ScalarType::Byte},
    Global{"torch", "BoolStorage", Role::kStorageType, c10::ScalarType::Bool},
    Global{"torch", "ComplexFloatStorage", Role::kStorageType, c10::ScalarType::ComplexFloat},
    Global{"torch", "UntypedStorage", Role::kUntypedStorage},
    Global{"torch.storage", "UntypedStorage", Role::kUntypedStorage},
    Global{"torch", "float64", Role::kDtype, c10::ScalarType::Double},
    Global{"torch", "float32", Role::kDtype, c10::ScalarType::Float},
    Global{"torch", "float16", Role::kDtype, c10::ScalarType::Half},
    Global{"torch", "bfloat16", Role::kDtype, c10::ScalarType::BFloat16},
    Global{"torch", "int64", Role::kDtype, c10::ScalarType::Long},
    Global{"torch", "int32", Role::kDtype, c10::ScalarType::Int},
    Global{"torch", "int16", Role::kDtype, c10::ScalarType::Short},
    Global{"torch", "int8", Role::kDtype, c10::ScalarType::Char},
    Global{"torch", "uint64", Role::kDtype, c10::ScalarType::UInt64},
    Global{"torch", "uint32", Role::kDtype, c10::ScalarType::UInt32},
    Global{"torch", "uint16", Role::kDtype, c10::ScalarType::UInt16},
    Global{"torch", "uint8", Role::kDtype, c10::ScalarType::Byte},
    Global{"torch", "bool", Role::kDtype, c10::ScalarType::Bool},
    Global{"torch", "complex64", Role::kDtype, c10::ScalarType::ComplexFloat},
    Global{"torch", "float8_e4m3fn", Role::kDtype, c10::ScalarType::Float8_e4m3fn},
    Global{"torch", "float8_e5m2", Role::kDtype, c10::ScalarType::Float8_e5m2},
    Global{"torch", "float8_e8m0fnu", Role::kDtype, c10::ScalarType::Float8_e8m0fnu},
};

/// The instructions of a pickle that a state dict can need.
enum Opcode : unsigned char {
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

/// Runs the pickle on a stack of values. Objects live in tables and values refer to them by index,
/// so that neither cycles nor deep nesting cost anything when all goes.
class Machine final {
 public:
  Machine(std::string_view pickle, std::string_view file) : pickle_(pickle), file_(file) {}

  std::vector<std::pair<std::string, PickledTensor>> run() {
    if (pickle_.size() > kLongestPickle) {
      fail("{}: data.pkl is {} bytes long, at most {} are allowed", file_, pickle_.size(),
           kLongestPickle);
    }
    while (step()) {
    }
    if (at_ != pickle_.size()) problem("{} bytes follow the end", pickle_.size() - at_);
    if (stack_.size() != 1 || !marks_.empty()) problem("ends with {} values", stack_.size());
    return tensors_of(state_dict(stack_.front()));
  }

 private:
  using Items = std::vector<std::pair<Value, Value>>;

  struct Storage {
    size_t key;            // index into texts_
    c10::ScalarType type;  // Byte when untyped
    bool untyped;
    int64_t elements;
  };
  struct Tensor {
    size_t storage;
    c10::ScalarType type;
    int64_t offset;
    size_t shape;    // index into sequences_
    size_t strides;  // the same
  };

  /// Names the byte of the instruction that was being run.
  template <typename... Args>
  [[noreturn]] void problem(fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}: data.pkl at byte {}: {}", file_, instruction_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  // Reading the pickle.

  std::string_view read(uint64_t size) {
    if (size > pickle_.size() - at_) problem("ends in the middle (is it cut off?)");
    const std::string_view bytes = pickle_.substr(at_, size);
    at_ += size;
    return bytes;
  }
  template <typename T>
  T read_number() {
    const std::string_view bytes = read(sizeof(T));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  std::string_view read_line() {
    const size_t end = pickle_.find('\n', at_);
    if (end == std::string_view::npos) problem("ends in the middle (is it cut off?)");
    const std::string_view line = pickle_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }
  /// A number of any length, little-endian with a sign.
  int64_t read_long() {
    const std::string_view bytes = read(read_number<uint8_t>());
    if (bytes.size() > sizeof(int64_t)) problem("a number of {} bytes", bytes.size());
    if (bytes.empty()) return 0;
    uint64_t value = (static_cast<unsigned char>(bytes.back()) & 0x80U) != 0 ? ~uint64_t{0} : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return static_cast<int64_t>(value);
  }

  // The stack.

  void push(Value value) {
    if (stack_.size() >= kDeepestStack) problem("holds more than {} values at once", kDeepestStack);
    stack_.push_back(value);
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Value& top() {
    if (stack_.size() <= floor()) problem("takes a value that is not there");
    return stack_.back();
  }
  Value pop() {
    const Value value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<Value> pop_last(size_t count) {
    if (stack_.size() - floor() < count) problem("takes a value that is not there");
    std::vector<Value> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return values;
  }
  std::vector<Value> pop_to_mark() {
    if (marks_.empty()) problem("takes a mark that is not there");
    std::vector<Value> values = pop_last(stack_.size() - floor());
    marks_.pop_back();
    return values;
  }

  // Objects.

  void charge(size_t objects = 1) {
    made_ += objects;
    if (made_ > kMostObjects) problem("makes more than {} objects", kMostObjects);
  }
  void push_text(std::string_view text) {
    charge();
    texts_.push_back(text);
    push({Kind::kText, static_cast<int64_t>(texts_.size() - 1)});
  }
  void push_sequence(Kind kind, std::vector<Value> items) {
    charge();
    sequences_.push_back(std::move(items));
    push({kind, static_cast<int64_t>(sequences_.size() - 1)});
  }
  void push_dict(Items items) {
    charge();
    dicts_.push_back(std::move(items));
    push({Kind::kDict, static_cast<int64_t>(dicts_.size() - 1)});
  }
  void memorize(uint64_t place) {
    const Value value = top();
    if (memo_.insert_or_assign(place, value).second) charge();
  }
  void push_memorized(uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) problem("asks for value {}, which was not kept", place);
    push(found->second);
  }
  void append(const std::vector<Value>& values) {
    const Value list = top();
    if (list.kind != Kind::kList) problem("appends to {}", kind_text(list.kind));
    std::vector<Value>& items = sequences_[list.index()];
    items.insert(items.end(), values.begin(), values.end());
  }
  void set_items(const std::vector<Value>& values) {
    const Value dict = top();
    if (dict.kind != Kind::kDict) problem("sets items of {}", kind_text(dict.kind));
    if (values.size() % 2 != 0) problem("sets an item without a value");
    Items& items = dicts_[dict.index()];
    for (size_t i = 0; i < values.size(); i += 2) items.emplace_back(values[i], values[i + 1]);
  }

  void push_global(std::string_view module, std::string_view name) {
    const auto* found = std::find_if(kGlobals.begin(), kGlobals.end(), [&](const Global& global) {
      return global.module == module && global.name == name;
    });
    if (found == kGlobals.end()) {
      fail(
          "{}: data.pkl asks for {}.{}, which is not run; only tensors, parameters and ordered "
          "dictionaries of them are read from a pickle",
          file_, printable_name(module), printable_name(name));
    }
    push({Kind::kGlobal, found - kGlobals.begin()});
  }

  const std::vector<Value>& sequence(const Value& value, const char* what) const {
    if (value.kind != Kind::kTuple && value.kind != Kind::kList)
      problem("{} is {}, a tuple is needed", what, kind_text(value.kind));
    return sequences_[value.index()];
  }
  int64_t integer(const Value& value, const char* what) const {
    if (value.kind != Kind::kInt)
      problem("{} is {}, a whole number is needed", what, kind_text(value.kind));
    return value.number;
  }
  size_t text(const Value& value, const char* what) const {
    if (value.kind != Kind::kText)
      problem("{} is {}, a text is needed", what, kind_text(value.kind));
    return value.index();
  }
  const Global& global(const Value& value, const char* what) const {
    if (value.kind != Kind::kGlobal)
      problem("{} is {}, a type or function is needed", what, kind_text(value.kind));
    return kGlobals[value.index()];
  }

  /// ('storage', type, key, where it was, number of elements); in bytes when the type is untyped.
  void push_storage(const Value& id) {
    const std::vector<Value>& parts = sequence(id, "a persistent id");
    if (parts.size() != 5 || texts_[text(parts[0], "a persistent id's kind")] != "storage")
      problem("a persistent id is not that of a storage");
    const Global& type = global(parts[1], "a storage's type");
    if (type.role != Role::kStorageType && type.role != Role::kUntypedStorage)
      problem("a storage's type is {}.{}", type.module, type.name);
    const bool untyped = type.role == Role::kUntypedStorage;
    charge();
    storages_.push_back({text(parts[2], "a storage's key"),
                         untyped ? c10::ScalarType::Byte : type.type, untyped,
                         integer(parts[4], "a storage's size")});
    push({Kind::kStorage, static_cast<int64_t>(storages_.size() - 1)});
  }

  size_t sizes(const Value& value, const char* what) const {
    // Lists could still change.
    if (value.kind != Kind::kTuple)
      problem("{} is {}, a tuple is needed", what, kind_text(value.kind));
    const std::vector<Value>& items = sequences_[value.index()];
    if (items.size() > kMostDimensions) {
      problem("{} has {} dimensions, at most {} are possible", what, items.size(), kMostDimensions);
    }
    for (const Value& item : items) integer(item, what);
    return value.index();
  }

  /// (storage, offset, shape, strides, requires_grad, hooks[, dtype][, metadata])
  void push_tensor(const std::vector<Value>& arguments, bool with_dtype) {
    const size_t needed = with_dtype ? 7 : 6;
    if (arguments.size() != needed && arguments.size() != needed + 1)
      problem("a tensor of {} arguments", arguments.size());
    if (arguments[0].kind != Kind::kStorage)
      problem("a tensor's storage is {}", kind_text(arguments[0].kind));
    const Storage& storage = storages_[arguments[0].index()];
    c10::ScalarType type = storage.type;
    if (with_dtype) {
      const Global& dtype = global(arguments[6], "a tensor's dtype");
      if (dtype.role != Role::kDtype)
        problem("a tensor's dtype is {}.{}", dtype.module, dtype.name);
      type = dtype.type;
    } else if (storage.untyped) {
      problem("a tensor of an untyped storage has no dtype");
    }
    charge();
    tensors_.push_back({arguments[0].index(), type, integer(arguments[1], "a tensor's offset"),
                        sizes(arguments[2], "a tensor's shape"),
                        sizes(arguments[3], "a tensor's stride")});
    push({Kind::kTensor, static_cast<int64_t>(tensors_.size() - 1)});
  }

  /// An ordered dictionary of nothing, or of a list of pairs as Python 2 wrote it.
  void push_ordered_dict(const std::vector<Value>& arguments) {
    Items items;
    if (arguments.size() > 1) problem("an OrderedDict of {} arguments", arguments.size());
    if (!arguments.empty()) {
      const std::vector<Value>& pairs = sequence(arguments[0], "an OrderedDict's argument");
      charge(pairs.size());
      items.reserve(pairs.size());
      for (const Value& pair : pairs) {
        const std::vector<Value>& parts = sequence(pair, "an OrderedDict's item");
        if (parts.size() != 2) problem("an OrderedDict's item has {} parts", parts.size());
        items.emplace_back(parts[0], parts[1]);
      }
    }
    push_dict(std::move(items));
  }

  void call(const Value& function, const Value& packed) {
    const Global& called = global(function, "what is called");
    const std::vector<Value> arguments = arguments_of(packed);
    switch (called.role) {
      case Role::kOrderedDict:
        return push_ordered_dict(arguments);
      case Role::kSize:
        if (arguments.size() != 1) problem("a Size of {} arguments", arguments.size());
        return push({Kind::kTuple, static_cast<int64_t>(sizes(arguments[0], "a Size"))});
      case Role::kTensorV2:
        return push_tensor(arguments, /*with_dtype=*/false);
      case Role::kTensorV3:
        return push_tensor(arguments, /*with_dtype=*/true);
      case Role::kParameter:
        if (arguments.size() != 3 || arguments[0].kind != Kind::kTensor)
          problem("a parameter is not made of a tensor");
        return push(arguments[0]);
      case Role::kStorageType:
      case Role::kUntypedStorage:
      case Role::kDtype:
        problem("calls {}.{}", called.module, called.name);
    }
  }
  /// No function takes more than 8; a copy, for the tables may move while it is used.
  std::vector<Value> arguments_of(const Value& packed) const {
    constexpr size_t kMost = 8;
    const std::vector<Value>& arguments = sequence(packed, "a call's arguments");
    if (packed.kind != Kind::kTuple) problem("a call's arguments are a list");
    if (arguments.size() > kMost) problem("a call of {} arguments", arguments.size());
    return arguments;
  }

  /// Runs one instruction; false after the last.
  bool step() {
    instruction_ = at_;
    const auto opcode = read_number<uint8_t>();
    switch (opcode) {
      case kStop:
        return false;
      case kProto:
        if (const auto protocol = read_number<uint8_t>(); protocol < 2 || protocol > 5)
          problem("protocol {} is not read; 2 to 5 are", protocol);
        break;
      case kFrame:
        if (const auto size = read_number<uint64_t>(); size > pickle_.size() - at_)
          problem("ends in the middle (is it cut off?)");
        break;
      case kMark:
        if (marks_.size() >= kMostMarks) problem("is nested deeper than {} levels", kMostMarks);
        marks_.push_back(stack_.size());
        break;
      case kPop:
        pop();
        break;
      case kPopMark:
        pop_to_mark();
        break;
      case kDup:
        push(top());
        break;
      case kBinGet:
        push_memorized(read_number<uint8_t>());
        break;
      case kLongBinGet:
        push_memorized(read_number<uint32_t>());
        break;
      case kBinPut:
        memorize(read_number<uint8_t>());
        break;
      case kLongBinPut:
        memorize(read_number<uint32_t>());
        break;
      case kMemoize:
        memorize(memo_.size());
        break;
      default:
        if (!step_scalar(opcode) && !step_object(opcode)) {
          problem("instruction {:#04x} is not one that a dictionary of tensors needs", opcode);
        }
    }
    return true;
  }

  bool step_scalar(uint8_t opcode) {
    switch (opcode) {
      case kNone:
        push({});
        return true;
      case kNewTrue:
      case kNewFalse:
        push({Kind::kBool, opcode == kNewTrue ? 1 : 0});
        return true;
      case kBinInt:
        push({Kind::kInt, read_number<int32_t>()});
        return true;
      case kBinInt1:
        push({Kind::kInt, read_number<uint8_t>()});
        return true;
      case kBinInt2:
        push({Kind::kInt, read_number<uint16_t>()});
        return true;
      case kLong1:
        push({Kind::kInt, read_long()});
        return true;
      case kBinFloat:
        read(sizeof(double));
        push({Kind::kFloat});
        return true;
      case kShortBinString:
      case kShortBinUnicode:
        push_text(read(read_number<uint8_t>()));
        return true;
      case kBinString:
      case kBinUnicode:
        push_text(read(read_number<uint32_t>()));
        return true;
      case kBinUnicode8:
        push_text(read(read_number<uint64_t>()));
        return true;
      case kShortBinBytes:
        read(read_number<uint8_t>());
        push({Kind::kBytes});
        return true;
      case kBinBytes:
        read(read_number<uint32_t>());
        push({Kind::kBytes});
        return true;
      case kBinBytes8:
        read(read_number<uint64_t>());
        push({Kind::kBytes});
        return true;
      default:
        return false;
    }
  }

  bool step_object(uint8_t opcode) {
    switch (opcode) {
      case kGlobal: {
        const std::string_view module = read_line();
        push_global(module, read_line());
        return true;
      }
      case kStackGlobal: {
        const size_t name = text(pop(), "a name");
        const size_t module = text(pop(), "a module");
        push_global(texts_[module], texts_[name]);
        return true;
      }
      case kEmptyTuple:
        push_sequence(Kind::kTuple, {});
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_sequence(Kind::kTuple, pop_last(size_t{1} + opcode - kTuple1));
        return true;
      case kTuple:
        push_sequence(Kind::kTuple, pop_to_mark());
        return true;
      case kEmptyList:
        push_sequence(Kind::kList, {});
        return true;
      case kAppend:
        append({pop()});
        return true;
      case kAppends:
        append(pop_to_mark());
        return true;
      case kEmptyDict:
        push_dict({});
        return true;
      case kSetItem:
        set_items(pop_last(2));
        return true;
      case kSetItems:
        set_items(pop_to_mark());
        return true;
      case kReduce: {
        const Value arguments = pop();
        call(pop(), arguments);
        return true;
      }
      case kBuild: {
        // Attributes of a dictionary, such as _metadata of a state_dict().
        const Value state = pop();
        if (top().kind != Kind::kDict) problem("gives {} attributes", kind_text(top().kind));
        if (state.kind != Kind::kDict) problem("attributes are {}", kind_text(state.kind));
        return true;
      }
      case kBinPersId:
        push_storage(pop());
        return true;
      default:
        return false;
    }
  }

  // What it came to.

  std::string key_text(const Value& key) const {
    return key.kind == Kind::kText ? fmt::format("'{}'", printable_name(texts_[key.index()]))
                                   : kind_text(key.kind);
  }

  static bool all_tensors(const Items& items) {
    return std::all_of(items.begin(), items.end(), [](const auto& item) {
      return item.first.kind == Kind::kText && item.second.kind == Kind::kTensor;
    });
  }

  const Items& state_dict(const Value& result) const {
    if (result.kind != Kind::kDict) {
      fail("{}: holds {}; a dictionary of tensors is needed", file_, kind_text(result.kind));
    }
    const Items& items = dicts_[result.index()];
    if (all_tensors(items)) return items;
    if (items.size() == 1 && items[0].first.kind == Kind::kText &&
        items[0].second.kind == Kind::kDict) {
      const std::string_view key = texts_[items[0].first.index()];
      const Items& inner = dicts_[items[0].second.index()];
      if ((key == "model" || key == "state_dict") && all_tensors(inner)) return inner;
    }
    constexpr size_t kShown = 4;
    std::string found;
    for (size_t i = 0; i < std::min(items.size(), kShown); ++i) {
      found += fmt::format("{}{}: {}", i == 0 ? "" : ", ", key_text(items[i].first),
                           kind_text(items[i].second.kind));
    }
    if (items.size() > kShown) found += fmt::format(" and {} more", items.size() - kShown);
    fail(
        "{}: holds a dictionary of other things than tensors ({}); tensors by name are needed, or "
        "such a dictionary alone under 'model' or 'state_dict'",
        file_, found);
  }

  std::vector<int64_t> numbers(size_t sequence) const {
    std::vector<int64_t> all;
    all.reserve(sequences_[sequence].size());
    for (const Value& value : sequences_[sequence]) all.push_back(value.number);
    return all;
  }

  std::vector<std::pair<std::string, PickledTensor>> tensors_of(const Items& items) const {
    if (items.size() > kMostTensors)
      fail("{}: holds {} tensors, at most {} are allowed", file_, items.size(), kMostTensors);
    std::vector<std::pair<std::string, PickledTensor>> named;
    named.reserve(items.size());
    std::set<std::string_view> names;
    for (const auto& [key, value] : items) {
      const std::string_view name = texts_[key.index()];
      if (!names.insert(name).second)
        fail("{}: data.pkl holds the name '{}' twice", file_, printable_name(name));
      const Tensor& tensor = tensors_[value.index()];
      const Storage& storage = storages_[tensor.storage];
      int64_t bytes = 0;
      if (storage.elements < 0 ||
          __builtin_mul_overflow(storage.elements,
                                 static_cast<int64_t>(c10::elementSize(storage.type)), &bytes)) {
        fail("{}: tensor '{}': a storage of {} elements is not possible", file_,
             printable_name(name), storage.elements);
      }
      named.emplace_back(std::string(name),
                         PickledTensor{texts_[storage.key], bytes, tensor.type, tensor.offset,
                                       numbers(tensor.shape), numbers(tensor.strides)});
    }
    return named;
  }

  std::string_view pickle_;
  std::string_view file_;
  size_t at_ = 0;
  size_t instruction_ = 0;
  size_t made_ = 0;
  std::vector<Value> stack_;
  std::vector<size_t> marks_;  // stack sizes
  std::unordered_map<uint64_t, Value> memo_;
  std::vector<std::string_view> texts_;
  std::vector<std::vector<Value>> sequences_;
  std::vector<Items> dicts_;
  std::vector<Storage> storages_;
  std::vector<Tensor> tensors_;
};

}  // namespace

std::vector<std::pair<std::string, PickledTensor>> read_state_dict(std::string_view pickle,
                                                                   std::string_view file) {
  return Machine(pickle, file).run();
}

}  // namespace elastikv
