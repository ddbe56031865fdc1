// Nothing: see CMakeLists.txt. It has the versions of libgomp's symbols, and none of its symbols.
