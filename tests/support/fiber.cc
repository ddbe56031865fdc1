#include "support/fiber.h"

#include <cstdint>

namespace {

constexpr size_t kStack = 256 * 1024;

}  // namespace

extern "C" {

/// Keeps what a called function has to keep on the stack, which is stored in `from`, and goes on
/// where another one was left (System V ABI of x86-64).
void elastikv_switch_stack(void** from, void* to);

asm(R"(
.text
.globl elastikv_switch_stack
.type elastikv_switch_stack, @function
elastikv_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size elastikv_switch_stack, .-elastikv_switch_stack
)");

}  // extern "C"

namespace elastikv {
namespace {

void* outside = nullptr;  // the stack of who resumed a fiber
Fiber* running = nullptr;

}  // namespace

void Fiber::start(void (*body)()) {
  if (stack_ == nullptr) stack_ = std::make_unique<unsigned char[]>(kStack);
  body_ = body;
  constexpr uintptr_t kAlign = 16;
  auto* end = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack_.get()) + kStack) /
                                       kAlign * kAlign);
  // As if run() had been called from nowhere, and had been left with registers of no meaning.
  constexpr int kRegisters = 6;
  *--end = nullptr;
  *--end = reinterpret_cast<void*>(&Fiber::run);
  for (int i = 0; i < kRegisters; ++i) *--end = nullptr;
  top_ = end;
}

void Fiber::run() {
  running->body_();
  for (;;) pause();
}

void Fiber::resume() {
  running = this;
  elastikv_switch_stack(&outside, top_);
}

void Fiber::pause() { elastikv_switch_stack(&running->top_, outside); }

}  // namespace elastikv
