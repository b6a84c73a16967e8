"""Model bundles: their format, their checks, where they are kept. Importing this package doesn't import torch."""
