"""Whole scans through a network: the region first, then overlapping tiles. Importing this package doesn't import torch."""
