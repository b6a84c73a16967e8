# A stand-in for the package configuration of a Slicer build tree: enough to configure, build and install an extension of
# scripted modules. It does what Slicer's CMake/SlicerMacroBuildScriptedModule.cmake and CTK's
# CMake/ctkMacroCompilePythonScript.cmake say they do with files: a listed file must exist; it is copied, at build time, to
# the same relative path below the destination; the whole destination is installed. Nothing is byte-compiled.

set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.12/qt-scripted-modules")
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/Nothing.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/Nothing.cmake")
