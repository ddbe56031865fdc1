#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#define PY_SSIZE_T_CLEAN  // lengths are Py_ssize_t
#include <Python.h>

namespace elastikv::python {

struct DropReference {
  void operator()(PyObject* object) const { Py_DecRef(object); }
};
/// A reference of our own. Made, used and dropped by whoever holds the interpreter's lock (the
/// GIL).
using Reference = std::unique_ptr<PyObject, DropReference>;

/// While it lives, other threads of Python run, and this one may not touch Python's objects.
class WithoutLock final {
 public:
  WithoutLock() : state_(PyEval_SaveThread()) {}
  ~WithoutLock() { PyEval_RestoreThread(state_); }
  WithoutLock(const WithoutLock&) = delete;
  WithoutLock& operator=(const WithoutLock&) = delete;

 private:
  PyThreadState* state_;
};

/// Holds the lock again, inside of WithoutLock.
class WithLock final {
 public:
  WithLock() : state_(PyGILState_Ensure()) {}
  ~WithLock() { PyGILState_Release(state_); }
  WithLock(const WithLock&) = delete;
  WithLock& operator=(const WithLock&) = delete;

 private:
  PyGILState_STATE state_;
};

/// Thrown where an exception of Python is set already.
struct PythonError {};

/// A text as a str; bytes that are no UTF-8 become U+FFFD.
Reference str_of(std::string_view text);
/// A list of str as the bytes that the system gave for them (os.fsencode). PythonError for what is
/// no list of str.
std::vector<std::string> words_of(PyObject* list);

/// Sets the exception of Python that stands for the one that is being handled: what the user can
/// mend is an `error_type` (elastikv.Error) with the program's sentence. To be called in a handler.
void set_exception(PyObject* error_type);

}  // namespace elastikv::python
