# Provides elastikv_opencv: OpenCV's core, imgproc and imgcodecs. Debian ships OpenCVConfig.cmake only in libopencv-dev
# (148 MB, 210 packages); the three libraries that are used come in packages of 37 MB, so they are found by hand.
add_library(elastikv_opencv INTERFACE)
find_path(OPENCV_INCLUDE_DIR opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4 REQUIRED)
target_include_directories(elastikv_opencv SYSTEM INTERFACE ${OPENCV_INCLUDE_DIR})
foreach(module IN ITEMS core imgproc imgcodecs)
  find_library(OPENCV_${module}_LIBRARY opencv_${module} REQUIRED)
  target_link_libraries(elastikv_opencv INTERFACE ${OPENCV_${module}_LIBRARY})
endforeach()
