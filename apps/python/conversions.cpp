#include "conversions.h"

#include <exception>
#include <new>

#include "base/error.h"

namespace elastikv::python {

Reference str_of(std::string_view text) {
  Reference made(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
  if (made == nullptr) throw PythonError();
  return made;
}

std::vector<std::string> words_of(PyObject* list) {
  if (PyList_Check(list) == 0) {
    PyErr_SetString(PyExc_TypeError, "a list of str is needed");
    throw PythonError();
  }
  std::vector<std::string> words;
  for (Py_ssize_t i = 0; i < PyList_Size(list); ++i) {
    const Reference bytes(PyUnicode_EncodeFSDefault(PyList_GetItem(list, i)));
    char* text = nullptr;
    Py_ssize_t size = 0;
    if (bytes == nullptr || PyBytes_AsStringAndSize(bytes.get(), &text, &size) != 0)
      throw PythonError();
    words.emplace_back(text, static_cast<size_t>(size));
  }
  return words;
}

void set_exception(PyObject* error_type) {
  try {
    throw;
  } catch (const PythonError&) {
    return;
  } catch (const Error& error) {
    PyErr_SetString(error_type, error.what());
  } catch (const InternalError& error) {
    PyErr_Format(PyExc_RuntimeError, "%s\nThis is a bug in ElastiKV; please report it.",
                 error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    // LibTorch's own errors go on with a stack trace.
    const std::string text = error.what();
    PyErr_SetString(PyExc_RuntimeError, text.substr(0, text.find('\n')).c_str());
  }
}

}  // namespace elastikv::python
