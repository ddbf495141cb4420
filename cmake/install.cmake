# What `cmake --install` puts into place: the libraries with their headers and a package file for find_package(warpengine), the
# programs, and the files of deploy/ that a running server uses. Two export sets, so that an embedder needs no Cap'n Proto:
# universe (actors and below) and client (everything else).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/warpengine")
set(header_folder "${CMAKE_INSTALL_INCLUDEDIR}/warpengine")

get_property(libraries GLOBAL PROPERTY WARP_LIBRARIES)
foreach(library IN LISTS libraries)
  if(library MATCHES "^(messages|physics|gpu|storage|actors)$")
    set(export_set warpengine-universe)
  else()
    set(export_set warpengine-client)
  endif()
  install(TARGETS ${library} EXPORT ${export_set} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${header_folder})
  list(APPEND export_sets ${export_set})
endforeach()
list(REMOVE_DUPLICATES export_sets)
foreach(export_set IN LISTS export_sets)
  install(EXPORT ${export_set} NAMESPACE warpengine:: DESTINATION ${package_folder} FILE ${export_set}-targets.cmake)
endforeach()

# Headers keep their folders: #include "actors/universe.hpp", as in the tree.
install(DIRECTORY messages physics gpu storage actors cluster DESTINATION ${header_folder}
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh" PATTERN "*.capnp" PATTERN "programs" EXCLUDE)

configure_package_config_file(cmake/warpengine-config.cmake.in warpengine-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(warpengine-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/warpengine-config.cmake" "${PROJECT_BINARY_DIR}/warpengine-config-version.cmake"
  cmake/FindCAF.cmake DESTINATION ${package_folder})

foreach(program warpd warp)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY deploy/ DESTINATION ${CMAKE_INSTALL_DATADIR}/warpengine
  FILES_MATCHING PATTERN "*.service" PATTERN "*.reference" PATTERN "*.yml" PATTERN "data" EXCLUDE PATTERN "examples" EXCLUDE)
