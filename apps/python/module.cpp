// elastikv._native: the program's own functions for the Python package, which gives them their
// public form (python/elastikv). All of them release the interpreter's lock while they work.

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "conversions.h"
#include "program.h"
#include "report/report.h"

namespace elastikv::python {
namespace {

/// elastikv.Error. The module is never unloaded.
PyObject* error_type = nullptr;

/// What a function returns to Python: `use`'s object, or null with an exception set.
template <typename Use>
PyObject* answer(const Use& use) {
  try {
    return use().release();
  } catch (...) {
    set_exception(error_type);
    return nullptr;
  }
}

constexpr const char* kMainHelp =
    "main(arguments: list[str]) -> int\n\nRuns the program; arguments[0] is its name. Returns its "
    "exit code.";

PyObject* run_main(PyObject* /*module*/, PyObject* arguments) {
  return answer([&] {
    std::vector<std::string> words = words_of(arguments);
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    int code = 0;
    {
      const WithoutLock others_run;
      code = run_program(static_cast<int>(words.size()), pointers.data());
      std::fflush(nullptr);
    }
    return Reference(PyLong_FromLong(code));
  });
}

constexpr const char* kReportHelp =
    "report(folders: list[str], formats: str) -> dict[str, str]\n\nThe files of a report, by name, "
    "of which nothing is written.";

PyObject* run_report(PyObject* /*module*/, PyObject* arguments) {
  return answer([&] {
    PyObject* list = nullptr;
    const char* formats = nullptr;
    if (PyArg_ParseTuple(arguments, "Os", &list, &formats) == 0) throw PythonError();
    std::vector<std::filesystem::path> folders;
    for (const std::string& word : words_of(list)) folders.emplace_back(word);
    Report report;
    {
      const WithoutLock others_run;
      report = make_report(read_runs(folders), parse_report_forms(formats));
    }
    Reference files(PyDict_New());
    for (const ReportFile& file : report.files) {
      if (PyDict_SetItem(files.get(), str_of(file.name).get(), str_of(file.text).get()) != 0)
        throw PythonError();
    }
    return files;
  });
}

/// A sweep's watch in Python. What goes wrong there, Ctrl-C too, ends the sweep in order and is
/// raised after that.
class Watcher final {
 public:
  /// `progress`: a callable of (done, total, line), or None.
  explicit Watcher(PyObject* progress) : progress_(progress) {}
  ~Watcher() {
    Py_XDECREF(type_);
    Py_XDECREF(value_);
    Py_XDECREF(traceback_);
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void tell(int64_t done, int64_t total, const std::string& line) {
    const WithLock lock;
    if (progress_ == Py_None || failed()) return;
    try {
      const Reference told(PyObject_CallFunction(progress_, "LLO", static_cast<long long>(done),
                                                 static_cast<long long>(total),
                                                 str_of(line).get()));
      if (told == nullptr) throw PythonError();
    } catch (const PythonError&) {
      keep_exception();
    }
  }

  bool should_stop() {
    const WithLock lock;
    // Runs Python's handlers of signals, where this is the thread that has them.
    if (!failed() && PyErr_CheckSignals() != 0) keep_exception();
    return failed();
  }

  /// Throws what went wrong, if something did.
  void raise() {
    if (!failed()) return;
    PyErr_Restore(type_, value_, traceback_);
    type_ = value_ = traceback_ = nullptr;
    throw PythonError();
  }

 private:
  bool failed() const { return type_ != nullptr; }
  void keep_exception() { PyErr_Fetch(&type_, &value_, &traceback_); }

  PyObject* progress_;
  PyObject* type_ = nullptr;
  PyObject* value_ = nullptr;
  PyObject* traceback_ = nullptr;
};

constexpr const char* kSweepHelp =
    "sweep(words: list[str], progress: Callable[[int, int, str], object] | None) -> tuple[int, "
    "str]\n\n`elastikv sweep` with these words. Returns its exit code and its output folder.";

PyObject* run_sweep(PyObject* /*module*/, PyObject* arguments) {
  return answer([&] {
    PyObject* list = nullptr;
    PyObject* progress = nullptr;
    if (PyArg_ParseTuple(arguments, "OO", &list, &progress) == 0) throw PythonError();
    const std::vector<std::string> words = words_of(list);
    Watcher watcher(progress);
    SweepWatch watch;
    watch.progress = [&](int64_t done, int64_t total, const std::string& line) {
      watcher.tell(done, total, line);
    };
    watch.should_stop = [&] { return watcher.should_stop(); };
    int code = 0;
    {
      const WithoutLock others_run;
      code = run_watched_sweep(words, watch);
      std::fflush(nullptr);
    }
    watcher.raise();
    const Reference folder(PyUnicode_DecodeFSDefault(watch.output.c_str()));
    if (folder == nullptr) throw PythonError();
    return Reference(Py_BuildValue("iO", code, folder.get()));
  });
}

PyMethodDef functions[] = {{"main", run_main, METH_O, kMainHelp},
                           {"report", run_report, METH_VARARGS, kReportHelp},
                           {"sweep", run_sweep, METH_VARARGS, kSweepHelp},
                           {nullptr, nullptr, 0, nullptr}};
PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "elastikv._native",
    "The program's own functions; the package elastikv has their public form.",
    -1,
    functions,
    nullptr,
    nullptr,
    nullptr,
    nullptr};

}  // namespace
}  // namespace elastikv::python

// NOLINTNEXTLINE(readability-identifier-naming): as Python looks for it
PyMODINIT_FUNC PyInit__native() {
  using namespace elastikv::python;
  const Reference errors(PyImport_ImportModule("elastikv._errors"));
  if (errors == nullptr) return nullptr;
  error_type = PyObject_GetAttrString(errors.get(), "Error");
  return error_type == nullptr ? nullptr : PyModule_Create(&definition);
}
