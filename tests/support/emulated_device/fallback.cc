#include "support/emulated_device/fallback.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/EmptyTensor.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/zeros.h>

#include "support/emulated_device/emulated_device.h"
#include "support/emulated_device/host_view.h"
#include "support/emulated_device/memory.h"
#include "support/emulated_device/resize.h"
#include "support/emulated_device/stream.h"

namespace elastikv::emulated {
namespace {

using c10::IValue;
using torch::jit::Stack;

/// A value with another tensor for each of its tensors, and the CPU for the device.
template <typename Change>
IValue changed(const IValue& value, const Change& change) {
  const auto of = [&](const at::Tensor& x) { return x.defined() ? change(x) : x; };
  if (value.isTensor()) return of(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> tensors;
    for (const at::Tensor& x : value.toTensorVector()) tensors.push_back(of(x));
    return tensors;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> tensors;
    for (const std::optional<at::Tensor>& x : value.toOptionalTensorVector())
      tensors.push_back(x.has_value() ? std::optional(of(*x)) : x);
    return tensors;
  }
  if (value.isDevice() && is_emulated(value.toDevice())) return c10::Device(at::kCPU);
  return value;
}

template <typename Change>
Stack changed(const Stack& values, const Change& change) {
  Stack result;
  result.reserve(values.size());
  for (const IValue& value : values) result.push_back(changed(value, change));
  return result;
}

void require_one_device(const c10::OperatorHandle& op, const Stack& arguments) {
  changed(arguments, [&](const at::Tensor& x) {
    TORCH_CHECK(is_emulated(x.device()) || (x.is_cpu() && x.dim() == 0),
                "Expected all tensors to be on the same device, but found at least two devices, ",
                device(), " and ", x.device(), "! (when checking arguments of ", op.operator_name(),
                ")");
    return x;
  });
}

/// What the operator works on: memory of the device, and single numbers of the CPU as they are now.
at::Tensor operand(const at::Tensor& x) {
  return is_emulated(x.device()) ? host_view(x) : x.clone();
}

at::Tensor zeros_like(const at::Tensor& x) {
  const auto options = at::TensorOptions().dtype(x.scalar_type()).device(at::kCPU);
  const size_t element = x.element_size();
  const size_t bytes = at::detail::computeStorageNbytes(x.sizes(), x.strides(), element);
  return at::zeros({static_cast<int64_t>(bytes / element)}, options)
      .as_strided(x.sizes(), x.strides());
}

void run_on_cpu(const c10::OperatorHandle& op, Stack& stack) {
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
}

/// The index of the argument that return `r` is, if it is one.
std::optional<size_t> returned_argument(const c10::FunctionSchema& schema, size_t r) {
  const c10::AliasInfo* alias = schema.returns()[r].alias_info();
  if (alias == nullptr) return std::nullopt;
  TORCH_CHECK(alias->isWrite(), schema.operator_name(),
              " returns a view, which the emulated device has no kernel for");
  for (size_t a = 0; a < schema.arguments().size(); ++a) {
    const c10::AliasInfo* own = schema.arguments()[a].alias_info();
    if (own != nullptr && own->beforeSets() == alias->beforeSets()) return a;
  }
  TORCH_CHECK(false, schema.operator_name(), " returns none of its arguments");
}

/// Whether something that the operator returns has still to be allocated.
bool makes_something(const c10::FunctionSchema& schema, const Stack& arguments) {
  for (size_t r = 0; r < schema.returns().size(); ++r) {
    const std::optional<size_t> a = returned_argument(schema, r);
    if (!a.has_value()) return true;
    if (arguments[*a].isTensor() && arguments[*a].toTensor().numel() == 0) return true;
  }
  return false;
}

/// Masks among indices make a shape depend on numbers; other indices do not, whatever the tag says.
bool has_masks(const Stack& arguments) {
  for (const IValue& value : arguments) {
    if (!value.isOptionalTensorList()) continue;
    for (const std::optional<at::Tensor>& x : value.toOptionalTensorVector()) {
      if (x.has_value() && (x->scalar_type() == at::kBool || x->scalar_type() == at::kByte))
        return true;
    }
  }
  return false;
}

bool depends_on_numbers(const c10::OperatorHandle& op, const Stack& arguments) {
  if (op.operator_name().name == "aten::index") return has_masks(arguments);
  return op.hasTag(at::Tag::data_dependent_output) || op.hasTag(at::Tag::dynamic_output_shape);
}

/// Tensors on the device of the shapes that `made` have on the CPU.
IValue allocated(const IValue& made) {
  return changed(made, [](const at::Tensor& x) {
    return at::empty_strided(x.sizes(), x.strides(), x.options().device(device()));
  });
}

/// Copies the tensors of one value to those of another.
void copy_tensors(const IValue& from, const IValue& to) {
  if (from.isTensor()) {
    if (from.toTensor().defined()) to.toTensor().copy_(from.toTensor());
  } else if (from.isTensorList()) {
    const std::vector<at::Tensor> sources = from.toTensorVector();
    const std::vector<at::Tensor> targets = to.toTensorVector();
    for (size_t i = 0; i < sources.size(); ++i) targets[i].copy_(sources[i]);
  }
}

void name_writer(const c10::OperatorHandle& op, const IValue& result) {
  changed(result, [&](const at::Tensor& x) {
    Memory::instance().name_writer(x.const_data_ptr(), c10::toString(op.operator_name()));
    return x;
  });
}

bool holds_tensors(const IValue& value) { return value.isTensor() || value.isTensorList(); }

/// One call of an operator.
class Call {
 public:
  Call(const c10::OperatorHandle& op, Stack arguments)
      : op_(op), schema_(op.schema()), arguments_(std::move(arguments)) {}

  Stack run() {
    Stream& stream = Stream::instance();
    stream.count_launch();
    if (depends_on_numbers(op_, arguments_)) {
      stream.synchronise();
      return run_now();
    }
    if (op_.hasTag(at::Tag::nondeterministic_seeded)) return run_now();
    Stack shapes;
    if (makes_something(schema_, arguments_)) {
      shapes = changed(arguments_, zeros_like);
      try {
        run_on_cpu(op_, shapes);
      } catch (const std::exception&) {
        return run_now();  // where it was right, the same error comes again
      }
      for (const IValue& made : shapes) {
        if (!holds_tensors(made)) return run_now();
      }
    }
    return queue(shapes);
  }

 private:
  /// Runs it before anything else; for what only the numbers tell.
  Stack run_now() {
    auto made = std::make_shared<Stack>(changed(arguments_, operand));
    Stream::instance().run([&] { run_on_cpu(op_, *made); });
    Stack results;
    for (size_t r = 0; r < schema_.returns().size(); ++r) {
      if (const auto a = returned_argument(schema_, r)) {
        TORCH_CHECK(!arguments_[*a].isTensor() ||
                        arguments_[*a].toTensor().sizes() == (*made)[r].toTensor().sizes(),
                    op_.operator_name(), " resizes its result, which nothing foresaw");
        results.push_back(arguments_[*a]);
      } else if (holds_tensors((*made)[r])) {
        results.push_back(allocated((*made)[r]));
        Stream::instance().enqueue([from = (*made)[r], to = changed(results.back(), host_view)] {
          copy_tensors(from, to);
        });
      } else {
        results.push_back((*made)[r]);
      }
    }
    return results;
  }

  /// `shapes`: results of the shapes that come, or empty where all results are arguments.
  Stack queue(const Stack& shapes) {
    Stack results;
    std::vector<std::pair<size_t, IValue>> fill;  // returns that are new, as the CPU sees them
    for (size_t r = 0; r < schema_.returns().size(); ++r) {
      if (const auto a = returned_argument(schema_, r)) {
        const at::Tensor& given = arguments_[*a].toTensor();
        if (!shapes.empty() && shapes[r].toTensor().sizes() != given.sizes())
          resize_tensor(given, shapes[r].toTensor().sizes());
        results.push_back(arguments_[*a]);
      } else {
        results.push_back(allocated(shapes[r]));
        fill.emplace_back(r, changed(results.back(), host_view));
      }
    }
    Stream::instance().enqueue(
        [op = op_, given = changed(arguments_, operand), fill = std::move(fill)] {
          Stack stack = given;  // a graph runs it again
          run_on_cpu(op, stack);
          for (const auto& [r, to] : fill) copy_tensors(stack[r], to);
        });
    return results;
  }

  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  Stack arguments_;
};

}  // namespace

void run_operator(const c10::OperatorHandle& op, Stack* stack) {
  const auto count = static_cast<std::ptrdiff_t>(op.schema().arguments().size());
  Stack arguments(stack->end() - count, stack->end());
  require_one_device(op, arguments);
  Stack results = Call(op, std::move(arguments)).run();
  torch::jit::drop(*stack, static_cast<size_t>(count));
  for (IValue& result : results) {
    name_writer(op, result);
    stack->push_back(std::move(result));
  }
}

}  // namespace elastikv::emulated
