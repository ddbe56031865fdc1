# Provides elastikv_opencv: OpenCV's core, imgproc and imgcodecs; and elastikv_jpeg: the libjpeg that they decode with.
add_library(elastikv_opencv INTERFACE)
add_library(elastikv_jpeg INTERFACE)
if(ELASTIKV_OPENCV_DIR)
  # Static, with its own libjpeg, libpng, libwebp and zlib; each library before those it needs.
  target_include_directories(elastikv_opencv SYSTEM INTERFACE ${ELASTIKV_OPENCV_DIR}/include/opencv4)
  target_include_directories(elastikv_jpeg SYSTEM INTERFACE ${ELASTIKV_OPENCV_DIR}/include/libjpeg)
  foreach(library IN ITEMS libopencv_imgcodecs libopencv_imgproc libopencv_core
          opencv4/3rdparty/liblibpng opencv4/3rdparty/liblibwebp opencv4/3rdparty/libzlib)
    target_link_libraries(elastikv_opencv INTERFACE ${ELASTIKV_OPENCV_DIR}/lib/${library}.a)
  endforeach()
  target_link_libraries(elastikv_jpeg INTERFACE ${ELASTIKV_OPENCV_DIR}/lib/opencv4/3rdparty/liblibjpeg-turbo.a)
  target_link_libraries(elastikv_opencv INTERFACE elastikv_jpeg ${CMAKE_DL_LIBS})
else()
  # Debian ships OpenCVConfig.cmake only in libopencv-dev (148 MB, 210 packages); the three libraries that are used come in
  # packages of 37 MB, so they are found by hand.
  find_path(OPENCV_INCLUDE_DIR opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4 REQUIRED)
  target_include_directories(elastikv_opencv SYSTEM INTERFACE ${OPENCV_INCLUDE_DIR})
  foreach(module IN ITEMS core imgproc imgcodecs)
    find_library(OPENCV_${module}_LIBRARY opencv_${module} REQUIRED)
    target_link_libraries(elastikv_opencv INTERFACE ${OPENCV_${module}_LIBRARY})
  endforeach()
  find_package(JPEG REQUIRED)
  target_link_libraries(elastikv_jpeg INTERFACE JPEG::JPEG)
endif()
