# WARP_ONLY=physics: the one folder that stands on the standard library alone, with its tests and nothing else.
if(NOT WARP_ONLY STREQUAL "physics")
  message(FATAL_ERROR "WARP_ONLY is '${WARP_ONLY}': only 'physics' stands alone")
endif()
include(cmake/compile_options.cmake)
add_subdirectory(${WARP_ONLY})
enable_testing()
add_subdirectory(tests)
