# elastikv_bundled(TARGET ...)
#   Programs that scripts/bundle.sh puts into the folder that runs elsewhere: target bundle_programs builds them,
#   component "bundle" of the installation holds them. Installed, they look for libraries in ../lib, and for LibTorch's
#   where LD_LIBRARY_PATH says.
#   RPATH, not RUNPATH: the libraries that they bring find each other by it as well.
function(elastikv_bundled)
  foreach(target IN LISTS ARGN)
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
    target_link_options(${target} PRIVATE -Wl,--disable-new-dtags)
    install(TARGETS ${target} RUNTIME DESTINATION libexec COMPONENT bundle)
    if(NOT TARGET bundle_programs)
      add_custom_target(bundle_programs)
    endif()
    add_dependencies(bundle_programs ${target})
  endforeach()
endfunction()
