#include "parquet/open.h"

#include <array>
#include <exception>
#include <fstream>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <dlfcn.h>
#include <link.h>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"

namespace elastikv {
namespace {

namespace fs = std::filesystem;

using Open = void (*)(const char* file, ParquetTable& table);

/// The first line of a library's message, as valid UTF-8.
std::string one_line(std::string_view text) {
  constexpr size_t kLongest = 300;
  text = text.substr(0, text.find_first_of("\r\n"));
  return replace_broken_utf8(text.substr(0, kLongest));
}

/// Runs `use`, whose failures become Errors that name the file.
template <typename Use>
auto naming(const std::string& file, const Use& use) {
  try {
    return use();
  } catch (const Error&) {
    throw;  // of a caller's function
  } catch (const InternalError&) {
    throw;
  } catch (const std::bad_alloc&) {
    fail("{}: cannot be read as Parquet: out of memory", file);
  } catch (const std::exception& error) {
    fail("{}: cannot be read as Parquet: {}", file, one_line(error.what()));
  }
}

/// The shared library that this code is part of; empty for a program.
fs::path own_library() {
  Dl_info ignored{};
  link_map* library = nullptr;
  static const char here = 0;
  if (dladdr1(&here, &ignored, reinterpret_cast<void**>(&library), RTLD_DL_LINKMAP) == 0) return {};
  return library->l_name;
}

/// The module's only function. The module is never unloaded: what it made may live on.
Open load(const fs::path& module, const std::string& file) {
  const std::string_view how =
      own_library().empty()
          ? "build elastikv where scripts/setup.sh has run, or export the file as JSON lines"
          : "pip install 'elastikv[parquet]', or export the file as JSON lines";
  if (std::error_code ignored; !fs::exists(module, ignored))
    fail("{}: Parquet is read through Apache Arrow, which this program is without; {}", file, how);
  void* library = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fail("{}: Parquet is read through Apache Arrow, which cannot be loaded ({}); {}", file,
         one_line(dlerror()), how);
  }
  void* symbol = dlsym(library, "elastikv_open_parquet");
  ELASTIKV_ASSERT(symbol != nullptr, "{} has no elastikv_open_parquet", module.string());
  return reinterpret_cast<Open>(symbol);
}

}  // namespace

bool is_parquet(const fs::path& file) {
  if (file.extension() == ".parquet") return true;
  std::array<char, 4> mark{};
  std::ifstream(file, std::ios::binary).read(mark.data(), mark.size());
  return std::string_view(mark.data(), mark.size()) == "PAR1";
}

fs::path parquet_module() {
  if (const fs::path library = own_library(); !library.empty())
    return library.parent_path() / "lib/libelastikv_parquet.so";
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  return program.parent_path().parent_path() / "lib/libelastikv_parquet.so";
}

ParquetTable open_parquet(const fs::path& path, const fs::path& module) {
  const std::string file = path.string();
  const MappedFile readable(path);  // with the system's reason where it is not
  if (readable.size() == 0) fail("{}: the file is empty", file);
  const Open open = load(module, file);
  ParquetTable table;
  naming(file, [&] { open(file.c_str(), table); });
  table.read_rows = [file, read = std::move(table.read_rows)](
                        const std::vector<std::string>& columns, const ParquetTable::UseRow& use) {
    naming(file, [&] { read(columns, use); });
  };
  table.read_bytes = [file, read = std::move(table.read_bytes)](int64_t row,
                                                                const std::string& column) {
    return naming(file, [&] { return read(row, column); });
  };
  return table;
}

}  // namespace elastikv
