# elastikv_plugin_interface()
#   Target elastikv::plugin, with which components of one's own are built as a library that the program loads, and
#   component "development" of the installation: the headers that they see, and a package for find_package(elastikv).
#   ELASTIKV_PLUGIN_INTERFACE becomes a digest of those headers: a library that saw others is refused.
include(${CMAKE_CURRENT_LIST_DIR}/ElastikvAddPlugin.cmake)

# The headers of lib/ that a header sees, itself included.
function(elastikv_headers_of VARIABLE HEADER)
  set(found ${HEADER})
  set(left ${HEADER})
  while(left)
    list(POP_FRONT left header)
    file(STRINGS ${CMAKE_SOURCE_DIR}/lib/${header} lines REGEX "^#include \"")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" name "${line}")
      if(NOT name IN_LIST found)
        list(APPEND found ${name})
        list(APPEND left ${name})
      endif()
    endforeach()
  endwhile()
  list(SORT found)
  set(${VARIABLE} ${found} PARENT_SCOPE)
endfunction()

function(elastikv_plugin_interface)
  elastikv_headers_of(headers strategies/plugin.h)
  set(digests "")
  foreach(header IN LISTS headers)
    set(file ${CMAKE_SOURCE_DIR}/lib/${header})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(SHA256 ${file} digest)
    string(APPEND digests "${header} ${digest}\n")
    get_filename_component(folder ${header} DIRECTORY)
    install(FILES ${file} DESTINATION include/elastikv/${folder} COMPONENT development)
  endforeach()
  string(SHA256 interface "${digests}")
  string(SUBSTRING ${interface} 0 12 interface)
  set(ELASTIKV_PLUGIN_INTERFACE ${interface} PARENT_SCOPE)

  add_library(elastikv_plugin INTERFACE)
  add_library(elastikv::plugin ALIAS elastikv_plugin)
  target_include_directories(elastikv_plugin INTERFACE ${CMAKE_SOURCE_DIR}/lib)
  target_link_libraries(elastikv_plugin INTERFACE elastikv_torch)
  elastikv_describe_plugin_target(elastikv_plugin ${PROJECT_VERSION} ${interface})

  set(folder lib/cmake/elastikv)
  configure_file(${CMAKE_SOURCE_DIR}/cmake/elastikv-config.cmake.in ${CMAKE_BINARY_DIR}/cmake/elastikv-config.cmake @ONLY)
  include(CMakePackageConfigHelpers)
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/cmake/elastikv-config-version.cmake
    VERSION ${PROJECT_VERSION} COMPATIBILITY ExactVersion)
  install(FILES ${CMAKE_BINARY_DIR}/cmake/elastikv-config.cmake ${CMAKE_BINARY_DIR}/cmake/elastikv-config-version.cmake
    ${CMAKE_SOURCE_DIR}/cmake/ElastikvAddPlugin.cmake DESTINATION ${folder} COMPONENT development)
endfunction()
