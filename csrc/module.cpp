// Makes the library a Python module too, so that `import gnnlib._C` works and wheels are checked
// as such. It is empty: loading the library registers the ops, which live in torch.ops.gnnlib.
// Without Python's headers (a Python installed without its -dev package) the ops still build, and
// torch.ops.load_library needs nothing of this file.

#if __has_include(<Python.h>)

#include <Python.h>

static PyModuleDef definition = {};

PyMODINIT_FUNC PyInit__C() {
  definition.m_base = PyModuleDef_HEAD_INIT;
  definition.m_name = "_C";
  definition.m_doc = "The compiled ops of gnnlib.";
  return PyModule_Create(&definition);
}

#endif
