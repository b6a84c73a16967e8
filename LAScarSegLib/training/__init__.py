"""Training the networks of `systems` (Lightning): cases, preparation, patches, augmentation, the run and its bundle.

Importing this package imports neither torch nor Lightning.
"""

FOLDS = 5
"""nnU-Net's cross-validation."""
VALIDATE_EVERY = 5
"""Epochs between two validations on whole scans: one takes about as long as an epoch."""
