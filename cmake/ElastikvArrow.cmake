# Provides elastikv_arrow, Apache Arrow's libarrow and libparquet with their headers, where its PyPI wheel (pyarrow) is found;
# without it there is no such target, and the programs say so when they are asked for a Parquet file.
include(ElastikvCache)
set(_arrow_version 26.0.1)  # as in scripts/setup.sh; its libraries are called .so.2600
set(_arrow ${ELASTIKV_ARROW_DIR})
if(NOT _arrow)
  elastikv_cache_folder(_cache)
  set(_arrow ${_cache}/arrow-${_arrow_version}/pyarrow)
endif()
if(EXISTS ${_arrow}/include/parquet/arrow/reader.h AND EXISTS ${_arrow}/libparquet.so.2600)
  add_library(elastikv_arrow INTERFACE)
  target_include_directories(elastikv_arrow SYSTEM INTERFACE ${_arrow}/include)
  target_link_libraries(elastikv_arrow INTERFACE ${_arrow}/libparquet.so.2600 ${_arrow}/libarrow.so.2600)
elseif(ELASTIKV_ARROW_DIR)
  message(FATAL_ERROR "No Apache Arrow ${_arrow_version} in ${_arrow}: that is the 'pyarrow' folder of its PyPI wheel.")
else()
  message(STATUS "No Apache Arrow in ${_arrow}: Parquet files will not be read. scripts/setup.sh puts it there.")
endif()
