#include "strategies/plugin_library.h"

#include <exception>
#include <string>

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"

namespace elastikv {
namespace {

using Register = void (*)(PluginComponents&);

/// The first line of a message, as valid UTF-8.
std::string one_line(std::string_view text) {
  constexpr size_t kLongest = 300;
  text = text.substr(0, text.find_first_of("\r\n"));
  return replace_broken_utf8(text.substr(0, kLongest));
}

/// What dlopen has to say, without the path that it begins with.
std::string loader_problem(const std::string& path) {
  const char* text = dlerror();
  std::string_view problem = text == nullptr ? "" : text;
  if (problem.starts_with(path + ": ")) problem.remove_prefix(path.size() + 2);
  return one_line(problem);
}

/// Reads the text that says what a library was built for: before it is loaded, since one that was
/// built for another program would run its initialisers, or miss a symbol.
void require_own_abi(const PluginOrigin& origin) {
  const MappedFile file(origin.path);
  const std::string_view bytes = file.view();
  if (!bytes.starts_with("\177ELF")) fail("{}: is no shared library", origin.file);
  const std::string_view mark = plugin_abi_mark();
  const size_t at = bytes.find(mark);
  if (at == std::string_view::npos) {
    fail(
        "{}: is a library, but no plugin of elastikv: ELASTIKV_PLUGIN (strategies/plugin.h) is "
        "missing in it",
        origin.file);
  }
  const std::string_view rest = bytes.substr(at + mark.size());
  const std::string built_for = one_line(rest.substr(0, rest.find('\0')));
  if (built_for == program_plugin_abi()) return;
  fail("{}: was built for {}, but this program is {}; build it again for this one", origin.file,
       built_for, program_plugin_abi());
}

/// Lets libraries find this program's symbols where it is a library itself, which an interpreter
/// has loaded for itself alone. In an executable they are seen by all anyhow.
void show_own_symbols() {
  Dl_info own{};
  if (dladdr(reinterpret_cast<const void*>(&show_own_symbols), &own) == 0) return;
  dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
  dlerror();  // an executable's name opens nothing
}

}  // namespace

void read_plugin_library(PluginComponents& components) {
  const PluginOrigin& origin = components.origin();
  require_own_abi(origin);
  show_own_symbols();
  try {
    void* library = dlopen(origin.path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
      fail("{}: cannot be loaded: {}", origin.file, loader_problem(origin.path));
    void* symbol = dlsym(library, "elastikv_register_plugin");
    if (symbol == nullptr)
      fail("{}: has no 'elastikv_register_plugin', which ELASTIKV_PLUGIN writes", origin.file);
    reinterpret_cast<Register>(symbol)(components);
  } catch (const std::exception& error) {
    const std::string text = one_line(error.what());
    if (text.starts_with(origin.file + ": ")) throw Error(text);
    fail("{}: fails while it registers its components: {}", origin.file, text);
  } catch (...) {
    fail("{}: fails while it registers its components: it throws what is no std::exception",
         origin.file);
  }
}

}  // namespace elastikv
