#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elastikv::jinja {

/// What the values in use of one rendering weigh.
struct Meter {
  size_t bytes = 0;
};

/// What a value holds that is more than a number: counted by its owners, and weighed by the meter
/// of the rendering that made it. Freeing one never recurses, however deep values hold each other.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() {
    if (meter_ != nullptr) meter_->bytes -= bytes_;
  }

  void retain() const { owners_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) bury(this);
  }
  uint32_t owners() const { return owners_.load(std::memory_order_relaxed); }
  /// Adds to what this object weighs.
  void weigh(Meter& meter, size_t bytes) {
    meter_ = &meter;
    bytes_ += bytes;
    meter.bytes += bytes;
  }

 private:
  static void bury(const Object* dead);

  mutable std::atomic<uint32_t> owners_{0};
  mutable const Object* next_dead_ = nullptr;
  Meter* meter_ = nullptr;
  size_t bytes_ = 0;
};

/// A counted pointer to an Object.
template <typename T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) object_->retain();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->release();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

/// Which of Python's types a value has; kMissing is a variable that nothing was assigned to.
enum class Kind : uint8_t {
  kMissing,
  kUndefined,
  kNone,
  kBoolean,
  kInteger,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kRange,
  kView,
  kNamespace,
  kIterator,
  kLoop,
  kMacro,
  kFunction,
  kMethod,
  kCycler,
  kJoiner,
};

/// A Python value as a template sees it. Strings, lists and dicts are shared and never change.
class Value {
 public:
  Value() = default;
  Value(Kind kind, const Object* object) : kind_(kind), object_(object) { object_->retain(); }
  template <typename T>
  Value(Kind kind, const Ref<T>& object) : Value(kind, object.get()) {}
  Value(const Value& other) : kind_(other.kind_), integer_(other.integer_) {
    if (is_object()) object_->retain();
  }
  Value(Value&& other) noexcept
      : kind_(std::exchange(other.kind_, Kind::kNone)), integer_(other.integer_) {}
  Value& operator=(Value other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(integer_, other.integer_);
    return *this;
  }
  ~Value() {
    if (is_object()) object_->release();
  }

  static Value none() { return {}; }
  static Value missing() { return scalar(Kind::kMissing); }
  static Value boolean(bool truth) {
    Value value = scalar(Kind::kBoolean);
    value.integer_ = truth ? 1 : 0;
    return value;
  }
  static Value integer(int64_t number) {
    Value value = scalar(Kind::kInteger);
    value.integer_ = number;
    return value;
  }
  static Value number(double number) {
    Value value = scalar(Kind::kFloat);
    value.number_ = number;
    return value;
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  /// An integer or, as in Python, a boolean.
  bool is_integral() const { return kind_ == Kind::kInteger || kind_ == Kind::kBoolean; }
  bool is_numeric() const { return is_integral() || kind_ == Kind::kFloat; }

  /// Of an integral value.
  int64_t as_integer() const { return integer_; }
  bool as_boolean() const { return integer_ != 0; }
  /// Of a float.
  double as_float() const { return number_; }
  /// Of a numeric value.
  double as_number() const {
    return kind_ == Kind::kFloat ? number_ : static_cast<double>(integer_);
  }

  const Object* object() const { return object_; }
  /// The object as what its kind says it is.
  template <typename T>
  const T& as() const {
    return static_cast<const T&>(*object_);
  }
  /// The same, for the few objects that change: iterators, loops, namespaces.
  template <typename T>
  T& as_mutable() const {
    return const_cast<T&>(static_cast<const T&>(*object_));
  }

 private:
  static Value scalar(Kind kind) {
    Value value;
    value.kind_ = kind;
    return value;
  }
  bool is_object() const { return kind_ >= Kind::kString || kind_ == Kind::kUndefined; }

  Kind kind_ = Kind::kNone;
  union {
    int64_t integer_ = 0;
    double number_;
    const Object* object_;
  };
};

/// The names of Python's types, as its messages write them: "str", "NoneType".
std::string_view type_name(const Value& value);
/// As Jinja's messages about missing attributes write them: "'str object'", "None".
std::string described_type(const Value& value);

}  // namespace elastikv::jinja
