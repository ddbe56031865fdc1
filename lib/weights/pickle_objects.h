#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include "base/error.h"
#include "weights/pickle_globals.h"

namespace elastikv {

/// A value of a pickle. Objects lie in tables and values refer to them by index, so that neither
/// cycles nor deep nesting cost anything when all goes.
struct PickleValue {
  enum class Kind {
    kNone,
    kBool,
    kInt,
    kFloat,
    kText,     // an index of PickleObjects::text
    kBytes,    // nothing is kept of it
    kTuple,    // an index of PickleObjects::items
    kList,     // the same
    kDict,     // an index of PickleObjects::dict
    kGlobal,   // an index of pickle_global
    kStorage,  // an index of PickleObjects::storage
    kTensor,   // an index of PickleObjects::tensor
  };

  Kind kind = Kind::kNone;
  int64_t number = 0;  ///< the value of an integer or boolean, or an index

  size_t index() const { return static_cast<size_t>(number); }
};

/// "None", "a number", "a tuple", ...
const char* kind_text(PickleValue::Kind kind);

/// The objects that a pickle makes, and the rules of making them: what is called gives what it
/// would give in Python, and nothing is run. Every failure is an Error that begins with the file
/// and the byte of the instruction that asked for it.
class PickleObjects final {
 public:
  using Items = std::vector<std::pair<PickleValue, PickleValue>>;

  struct Storage {
    size_t key;            ///< a text
    c10::ScalarType type;  ///< Byte when untyped
    bool untyped;
    int64_t elements;
  };
  struct Tensor {
    size_t storage;
    c10::ScalarType type;
    int64_t offset;
    size_t shape;  ///< a tuple of integers
    size_t strides;
  };

  /// `file` outlives the objects, as do the texts that are given to make_text.
  explicit PickleObjects(std::string_view file) : file_(file) {}

  /// From which byte on the instruction lies that is run now.
  void begin_instruction(size_t byte) { instruction_ = byte; }
  template <typename... Args>
  [[noreturn]] void problem(fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}: data.pkl at byte {}: {}", file_, instruction_,
         fmt::format(format, std::forward<Args>(args)...));
  }
  /// Counts what is made. Error for more than a state dict could need.
  void charge(size_t objects = 1);

  PickleValue make_text(std::string_view text);
  /// Of the kind kTuple or kList.
  PickleValue make_sequence(PickleValue::Kind kind, std::vector<PickleValue> items);
  PickleValue make_dict(Items items);
  /// Error for a name that a state dict does not need.
  PickleValue make_global(std::string_view module, std::string_view name) const;
  /// Of a persistent id: ('storage', type, key, where it was, number of elements); in bytes when
  /// the type is untyped.
  PickleValue make_storage(const PickleValue& id);
  /// What a call gives.
  PickleValue call(const PickleValue& function, const PickleValue& arguments);

  void append(const PickleValue& list, const std::vector<PickleValue>& values);
  /// A key and a value in turn.
  void set_items(const PickleValue& dict, const std::vector<PickleValue>& values);

  /// A value as what it has to be; `what` names it in the Error for another kind.
  size_t text_index(const PickleValue& value, const char* what) const;
  std::string_view text(size_t index) const { return texts_[index]; }
  const std::vector<PickleValue>& items(size_t index) const { return sequences_[index]; }
  const Items& dict(size_t index) const { return dicts_[index]; }
  const Storage& storage(size_t index) const { return storages_[index]; }
  const Tensor& tensor(size_t index) const { return tensors_[index]; }

 private:
  const std::vector<PickleValue>& sequence(const PickleValue& value, const char* what) const;
  int64_t integer(const PickleValue& value, const char* what) const;
  const PickleGlobal& global(const PickleValue& value, const char* what) const;
  /// The index of a tuple of integers.
  size_t sizes(const PickleValue& value, const char* what) const;
  std::vector<PickleValue> arguments_of(const PickleValue& packed) const;
  PickleValue make_tensor(const std::vector<PickleValue>& arguments, bool with_dtype);
  PickleValue make_ordered_dict(const std::vector<PickleValue>& arguments);

  std::string_view file_;
  size_t instruction_ = 0;
  size_t made_ = 0;
  std::vector<std::string_view> texts_;
  std::vector<std::vector<PickleValue>> sequences_;
  std::vector<Items> dicts_;
  std::vector<Storage> storages_;
  std::vector<Tensor> tensors_;
};

}  // namespace elastikv
