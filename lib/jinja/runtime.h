#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "jinja/objects.h"
#include "jinja/template.h"

namespace elastikv::jinja {

/// What one rendering may still use, and where its values are made. All that runs in a template
/// counts here, so that none runs for ever, runs out of stack or takes all memory.
class Runtime {
 public:
  explicit Runtime(const Environment& environment) : environment_(environment) {}
  virtual ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const Environment& environment() const { return environment_; }

  /// Counts some work; Error when the limit of steps is passed.
  void step(int64_t count = 1) {
    steps_ += count;
    if (steps_ > environment_.limits.steps) fail_steps();
  }
  /// Counts the work of going through or copying bytes.
  void step_bytes(size_t bytes) { step(static_cast<int64_t>(bytes / 1024) + 1); }
  /// Error when values of so many bytes more would pass the limit of memory.
  void require_room(size_t bytes) const;

  /// A string; Error as require_room's.
  Value string(std::string text, bool markup = false);
  /// Error as require_room's, and when lists and dicts nest too deep.
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items);
  Value dict(Entries entries);
  /// A value that is not there.
  Value undefined(std::string message);
  /// Any other object of a kind; `bytes` is what it weighs beside itself.
  template <typename T, typename... Args>
  Ref<T> make(size_t bytes, Args&&... args) {
    require_room(sizeof(T) + bytes);
    Ref<T> object(new T(std::forward<Args>(args)...));
    object->weigh(meter_, sizeof(T) + bytes);
    return object;
  }
  /// The same for an object that may come to hold itself.
  template <typename T, typename... Args>
  Ref<T> make_changeable(Args&&... args) {
    Ref<T> object = make<T>(64, std::forward<Args>(args)...);
    remember(object.get());
    return object;
  }
  /// Empties such an object when its time is over and nothing but the caller, once, owns it.
  void forget(Changeable& object);
  /// Lets go of everything that changeable objects hold.
  void empty_all();

  /// Counts a level of recursion as long as it lives.
  class Level {
   public:
    /// Error when the limit of levels is passed.
    explicit Level(Runtime& runtime) : runtime_(runtime) {
      if (++runtime_.levels_ > kMostLevels) runtime_.fail_levels();
    }
    ~Level() { --runtime_.levels_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Runtime& runtime_;
  };

  /// How deep lists and dicts may nest.
  static constexpr int kMostDepth = 300;

 private:
  /// How deep the evaluation of one thing may go inside another; less than the smallest stack
  /// holds.
  static constexpr int kMostLevels = 1000;

  [[noreturn]] void fail_steps() const;
  [[noreturn]] void fail_levels();
  Ref<ListObject> list_object(std::vector<Value> items);
  void remember(Changeable* object);

  const Environment& environment_;
  Meter meter_;
  int64_t steps_ = 0;
  int levels_ = 0;
  std::vector<Ref<Changeable>> changeable_;
  size_t sweep_at_ = 1024;
};

/// Text that grows, with an Error once values of its size would pass the limit of memory.
class TextBuilder {
 public:
  explicit TextBuilder(Runtime& runtime) : runtime_(runtime) {}
  TextBuilder& operator+=(std::string_view more) {
    if (text_.size() + more.size() > checked_) grow(more.size());
    text_ += more;
    return *this;
  }
  TextBuilder& operator+=(char character) { return *this += std::string_view(&character, 1); }
  /// `text`, `count` times.
  void repeat(std::string_view text, size_t count);
  size_t size() const { return text_.size(); }
  std::string take() { return std::move(text_); }

 private:
  void grow(size_t more);

  Runtime& runtime_;
  std::string text_;
  size_t checked_ = 0;
};

}  // namespace elastikv::jinja
