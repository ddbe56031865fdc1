#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "jinja/renderer.h"

namespace elastikv::jinja {

/// What is written, up to the limit.
class Renderer::Text {
 public:
  explicit Text(Renderer& renderer) : renderer_(renderer) {}
  void write(std::string_view more) {
    const size_t most = renderer_.environment().limits.output_bytes;
    if (more.size() > most || text_.size() > most - more.size()) {
      fail("the template writes more than {} bytes", most);
    }
    renderer_.step(static_cast<int64_t>(more.size() / 1024));
    text_ += more;
  }
  std::string take() { return std::move(text_); }

 private:
  Renderer& renderer_;
  std::string text_;
};

/// Makes another activation the current one as long as it lives.
class Renderer::Call {
 public:
  Call(Renderer& renderer, Ref<Activation> activation)
      : renderer_(renderer),
        activation_(activation),
        caller_(std::exchange(renderer.current_, std::move(activation))),
        line_(renderer.line_) {}
  ~Call() {
    renderer_.current_ = std::move(caller_);
    if (!failed_) renderer_.line_ = line_;
    renderer_.forget(*activation_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// Says that all went well: the line of the caller is the current one again.
  void done() { failed_ = false; }

 private:
  Renderer& renderer_;
  Ref<Activation> activation_;
  Ref<Activation> caller_;
  int line_;
  bool failed_ = true;
};

}  // namespace elastikv::jinja
