#pragma once

#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "base/error.h"
#include "strategies/plugin_components.h"
#include "strategies/statistics_copy.h"

namespace elastikv {

// A plugin's component stands behind a guard, which is a component itself: it hands over copies of
// the statistics that the component asked for, turns whatever the component throws into an Error
// that names its file, and looks at what it gives. So a wrong plugin fails the cells that it is in,
// and no others. Built-in components have no guards.

/// Which component of which plugin is asked, for messages.
class PluginCall {
 public:
  PluginCall(std::string file, std::string_view role, std::string_view kind)
      : file_(std::move(file)), component_(fmt::format("{} '{}'", role, kind)) {}

  /// "my.so: importance 'value_distance' PROBLEM".
  [[noreturn]] void refuse(std::string_view problem) const {
    fail("{}: {} {}", file_, component_, problem);
  }

  /// What `work` gives. Its failures become Errors; to have no memory left is nobody's fault.
  template <typename Work>
  std::invoke_result_t<Work> run(const Work& work) const {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error& error) {
      refuse(failure(error.what_without_backtrace()));
    } catch (const std::exception& error) {
      refuse(failure(error.what()));
    } catch (...) {
      refuse("fails: it throws what is no std::exception");
    }
  }

 private:
  static std::string failure(std::string_view text);

  std::string file_;
  std::string component_;
};

/// That a component has left alone the copy that it was given of statistics, or of scores.
template <typename Statistics>
void require_unchanged(const PluginCall& call, const Statistics& copy, const Statistics& original) {
  const std::string changed = changed_in(copy, original);
  if (!changed.empty()) call.refuse("changes its input: " + changed);
}
inline void require_unchanged(const PluginCall& call, const at::Tensor& copy,
                              const at::Tensor& original) {
  if (has_changed(copy, original)) call.refuse("changes its input: the scores");
}

/// The component behind a guard, which says itself what it is when it is asked for nothing else.
std::shared_ptr<const Importance> guarded(std::shared_ptr<const Importance> inner, PluginCall call);
std::shared_ptr<const Allocation> guarded(std::shared_ptr<const Allocation> inner, PluginCall call);
std::shared_ptr<const HeadAllocation> guarded(std::shared_ptr<const HeadAllocation> inner,
                                              PluginCall call);
std::shared_ptr<const Selection> guarded(std::shared_ptr<const Selection> inner, PluginCall call);
std::shared_ptr<const Compaction> guarded(std::shared_ptr<const Compaction> inner, PluginCall call);
std::shared_ptr<const Generation> guarded(std::shared_ptr<const Generation> inner, PluginCall call);

/// A plugin's component as a preset wants it, behind its guard. What its maker refuses of the
/// preset's parameters is told as it tells it, since that names the preset's line.
template <typename Role>
std::shared_ptr<const Role> make_guarded(const PluginKind<Role>& plugin, std::string_view role,
                                         const Parameters& parameters) {
  PluginCall call(plugin.origin.file, role, plugin.kind);
  std::shared_ptr<const Role> inner;
  try {
    inner = plugin.make(parameters);
  } catch (const Error&) {
    throw;
  } catch (...) {
    call.run([] { std::rethrow_exception(std::current_exception()); });
  }
  if (inner == nullptr) call.refuse("makes no component");
  return guarded(std::move(inner), std::move(call));
}

}  // namespace elastikv
