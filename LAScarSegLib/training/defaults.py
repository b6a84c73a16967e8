"""Defaults that the command line shows; light, so that its help needs no array library."""

FOLDS = 5
"""nnU-Net's cross-validation."""
VALIDATE_EVERY = 5
"""Epochs between two validations on whole scans: one takes about as long as an epoch."""
