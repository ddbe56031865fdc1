#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jinja/renderer.h"

namespace elastikv::jinja {

/// The variable `loop`, and what a loop goes through.
class LoopObject final : public Callable {
 public:
  /// `recursive` is the loop itself when it may be called, with the variables around it.
  LoopObject(Renderer& renderer, const Statement* recursive, Ref<Activation> outer, Value items,
             Ref<Iterator> source, int64_t depth)
      : renderer_(renderer),
        recursive_(recursive),
        outer_(std::move(outer)),
        items_(std::move(items)),
        source_(std::move(source)),
        depth_(depth) {}

  /// Goes on to the next item; false at the end.
  bool advance(Runtime& runtime, Value& item);

  Value call(Runtime& runtime, Arguments& arguments) override;
  std::optional<Value> attribute(Runtime& runtime, std::string_view name) override;
  std::string text() const override;
  void empty() override;

  int64_t index() const { return index_; }
  /// loop.changed(...): whether it was called with other values before, or not at all.
  bool changed(Runtime& runtime, const std::vector<Value>& values);

 private:
  int64_t length(Runtime& runtime);
  /// The next item without going on to it; nothing at the end.
  const std::optional<Value>& peek(Runtime& runtime);

  Renderer& renderer_;
  const Statement* recursive_;
  Ref<Activation> outer_;
  Value items_;
  Ref<Iterator> source_;
  int64_t depth_;
  int64_t index_ = -1;  // of the current item
  std::optional<int64_t> length_;
  std::optional<Value> previous_;
  std::optional<Value> current_;
  std::optional<Value> next_;
  std::optional<std::vector<Value>> last_changed_;
};

}  // namespace elastikv::jinja
