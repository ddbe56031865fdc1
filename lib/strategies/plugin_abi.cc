#include "strategies/plugin_abi.h"

#include "strategies/plugin_library.h"

namespace elastikv {

std::string_view program_plugin_abi() { return ELASTIKV_PLUGIN_ABI; }
std::string_view plugin_abi_mark() { return ELASTIKV_PLUGIN_MARK; }

}  // namespace elastikv
