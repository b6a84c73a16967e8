# Slicer writes the extension's package configuration and its CPack settings here; neither decides which files are installed.
