"""Training the networks of `systems` (Lightning): cases, preparation, patches, augmentation, the run and its bundle.

Importing this package imports neither torch nor Lightning.
"""
