# elastikv_add_plugin(NAME a.cc ...)
#   Library libNAME.so with components of one's own, for `elastikv ... --plugin libNAME.so` (docs/add-a-strategy.md).

# What a target that plugins link says to their sources.
function(elastikv_describe_plugin_target TARGET VERSION INTERFACE_DIGEST)
  target_compile_features(${TARGET} INTERFACE cxx_std_20)
  target_compile_definitions(${TARGET} INTERFACE FMT_HEADER_ONLY=1 ELASTIKV_PLUGIN_VERSION="${VERSION}"
    ELASTIKV_PLUGIN_INTERFACE="${INTERFACE_DIGEST}")
endfunction()

function(elastikv_add_plugin NAME)
  add_library(${NAME} MODULE ${ARGN})
  target_link_libraries(${NAME} PRIVATE elastikv::plugin)
  # Only what ELASTIKV_PLUGIN writes is seen from outside. What the program brings is found when it loads the library.
  set_target_properties(${NAME} PROPERTIES PREFIX lib SUFFIX .so CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
endfunction()
