set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# Checks that protect data are not assert(): they stay on in every build type. -O2 -g is the everyday build.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
if(WARP_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1") # compiles in two thirds of the time, and reports name the lines as well
endif()

# Objects name their sources from the root of the tree, and the compiler cache, where there is one, looks at paths from there too: a
# second checkout compiles nothing again.
add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>)
find_program(CCACHE ccache)
if(CCACHE)
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-fpch-preprocess>) # or it can't cache what uses a precompiled header
  endif()
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

# warp_options: what every target of ours compiles with. Headers are found from the root of the tree: "storage/shard.hpp".
add_library(warp_options INTERFACE)
target_compile_options(warp_options INTERFACE "$<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-Wpedantic;-Wno-missing-field-initializers>")
target_include_directories(warp_options INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
# x86-64-v2 and multiplication without carries (2010 and later) are the floor on x86: the table probes with SSE, slots are
# products, and the log checks with the crc32 instruction; anything above it is chosen at run time, anything else has a
# portable fallback.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:-march=x86-64-v2;-mpclmul;-mtune=generic>")
endif()

if(WARP_SANITIZE STREQUAL "address")
  # CAF 0.17 binds null references in its headers, on purpose and harmlessly.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=null,alignment -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(WARP_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -Wno-tsan)
  add_link_options(-fsanitize=thread)
elseif(WARP_SANITIZE STREQUAL "fuzzer")
  # As 'address', with the coverage that leads a fuzzer; clang only. tests/fuzz links the fuzzer itself.
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "WARP_SANITIZE is 'fuzzer', which ${CMAKE_CXX_COMPILER} does not have: use the preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(WARP_SANITIZE)
  message(FATAL_ERROR "WARP_SANITIZE is '${WARP_SANITIZE}': use nothing, 'address', 'thread' or 'fuzzer'")
endif()

# warp_library(name FOLDER SOURCES... ) : one static library per folder, sources by name.
function(warp_library name)
  add_library(${name} STATIC ${ARGN})
  add_library(warpengine::${name} ALIAS ${name})
  target_link_libraries(${name} PUBLIC $<BUILD_INTERFACE:warp_options>)
  target_compile_features(${name} PUBLIC cxx_std_20)
  set_target_properties(${name} PROPERTIES OUTPUT_NAME warp_${name} EXPORT_NAME ${name})
  set_property(GLOBAL APPEND PROPERTY WARP_LIBRARIES ${name})
endfunction()
