# Writes OUTPUT, a header with the commit of SOURCE_DIR and whether its files were modified since, only when that changed.
# Run as a script at every build: cmake -DSOURCE_DIR=... -DOUTPUT=... -P SourceVersion.cmake
set(commit "unknown")
set(modified "false")
find_program(GIT git)
if(GIT)
  # A source tree without a repository may lie inside that of something else: then there is a prefix.
  execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} rev-parse --show-prefix
                  RESULT_VARIABLE failed OUTPUT_VARIABLE prefix ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT failed AND prefix STREQUAL "")
    execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} rev-parse HEAD
                    RESULT_VARIABLE failed OUTPUT_VARIABLE head ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT failed)
      set(commit "${head}")
      # No locks: a build must not get in the way of somebody's commit.
      execute_process(COMMAND ${GIT} --no-optional-locks -C ${SOURCE_DIR} status --porcelain --untracked-files=no
                      OUTPUT_VARIABLE changes ERROR_QUIET)
      if(NOT changes STREQUAL "")
        set(modified "true")
      endif()
    endif()
  endif()
endif()
set(text "#define ELASTIKV_SOURCE_COMMIT \"${commit}\"\n#define ELASTIKV_SOURCE_MODIFIED ${modified}\n")
set(before "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
