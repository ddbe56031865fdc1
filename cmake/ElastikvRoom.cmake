# elastikv_room(NAME [SOURCES a.cc ...] [DEPS base ...] [LIBS external ...])
#   A room of lib/ as a library of its own: it sees only the rooms it names, so a forbidden include does not link.
#   Without SOURCES it is every .cc file of its folder; builds look for new ones.
#   All presets but `debug` compile the sources of a room several at a time (CMAKE_UNITY_BUILD), which takes a quarter of the
#   time. A source with a name of its own (in an anonymous namespace) that a neighbour also has is left out of that by
#   SKIP_UNITY_BUILD_INCLUSION.
# elastikv_test(NAME SOURCES a_test.cc ... DEPS room ... [LABELS l ...] [LIBS external ...] [ALL_CORES]
#              [AVX2 filter] [PREFIX p])
#   A test program; each TEST in it becomes a ctest entry. Tests run side by side with one thread each (two programs that
#   both wait for all cores would hardly move), unless ALL_CORES says that they run alone, with as many as there are.
#   Tests that AVX2's filter names run once more, as NAME_avx2, with the kernels that LibTorch takes on a processor without
#   AVX-512, as most laptops have. PREFIX comes before the names that ctest gives to tests.

add_library(elastikv_flags INTERFACE)
# Counters for libFuzzer (ELASTIKV_FUZZ) in what it explores, the rooms; programs without it ignore them. Tests and programs
# have none, which spares a seventh of the time to compile them.
add_library(elastikv_counters INTERFACE)
target_compile_options(elastikv_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-unknown-pragmas>)
# What says where in a source something happened names the source from the project's root, whatever folder that is: so are
# builds of two clones the same to the last byte, and to the compiler cache.
target_compile_options(elastikv_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=>")
if(ELASTIKV_WERROR)
  target_compile_options(elastikv_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>
    "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings -Xcompiler=-Wall>")
endif()
if(ELASTIKV_SANITIZE)
  target_compile_options(elastikv_flags INTERFACE -fsanitize=${ELASTIKV_SANITIZE} -fno-omit-frame-pointer)
  # What is undefined ends the program: a test that only prints a line passes.
  target_compile_options(elastikv_flags INTERFACE -fno-sanitize-recover=all)
  target_compile_definitions(elastikv_flags INTERFACE _GLIBCXX_ASSERTIONS)
  target_link_options(elastikv_flags INTERFACE -fsanitize=${ELASTIKV_SANITIZE})
endif()
if(ELASTIKV_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "ELASTIKV_FUZZ needs clang, whose libFuzzer it links; this is ${CMAKE_CXX_COMPILER_ID}.")
  endif()
  target_compile_options(elastikv_counters INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(elastikv_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# For what both the program and the Python module link, so that it is compiled once. Its own functions are inlined and called
# as in a program's code: nobody puts another one in their place.
function(elastikv_position_independent TARGET)
  set_target_properties(${TARGET} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${TARGET} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-semantic-interposition>)
endfunction()

function(elastikv_room NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB_RECURSE ARG_SOURCES CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  endif()
  add_library(elastikv_${NAME} STATIC ${ARG_SOURCES})
  add_library(elastikv::${NAME} ALIAS elastikv_${NAME})
  target_include_directories(elastikv_${NAME} PUBLIC ${CMAKE_SOURCE_DIR}/lib)
  target_link_libraries(elastikv_${NAME} PRIVATE elastikv_flags elastikv_counters)
  elastikv_position_independent(elastikv_${NAME})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(elastikv_${NAME} PUBLIC elastikv::${dep})
  endforeach()
  target_link_libraries(elastikv_${NAME} PUBLIC ${ARG_LIBS})
endfunction()

function(elastikv_test NAME)
  cmake_parse_arguments(ARG "ALL_CORES" "AVX2;PREFIX" "SOURCES;DEPS;LABELS;LIBS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  # Each file of tests has helpers of its own, named as its neighbours'.
  set_target_properties(${NAME} PROPERTIES UNITY_BUILD OFF)
  foreach(label IN LISTS ARG_LABELS)
    set_property(GLOBAL APPEND PROPERTY ELASTIKV_TESTS_${label} ${NAME})
  endforeach()
  target_include_directories(${NAME} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${NAME} PRIVATE elastikv::${dep})
  endforeach()
  target_link_libraries(${NAME} PRIVATE elastikv_flags elastikv::test_paths ${ARG_LIBS} GTest::gtest GTest::gtest_main)
  # A test's own code is no hot path; most of its time is compiling it. What it tests keeps its optimization.
  target_compile_options(${NAME} PRIVATE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-O1>)
  if(ARG_ALL_CORES)
    set(threads RUN_SERIAL TRUE)
  else()
    set(threads ENVIRONMENT OMP_NUM_THREADS=1)
  endif()
  gtest_discover_tests(${NAME} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120 TEST_PREFIX "${ARG_PREFIX}"
    PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 900 ${threads})
  if(ARG_AVX2)
    add_test(NAME ${NAME}_avx2 COMMAND ${NAME} --gtest_filter=${ARG_AVX2})
    set_tests_properties(${NAME}_avx2 PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 900 ENVIRONMENT
      "OMP_NUM_THREADS=1;ONEDNN_MAX_CPU_ISA=AVX2;ATEN_CPU_CAPABILITY=avx2;MKL_ENABLE_INSTRUCTIONS=AVX2")
  endif()
endfunction()
