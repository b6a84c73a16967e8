"""LAScarSeg: from a late gadolinium enhanced MRI of the heart to a measured left-atrial scar map. Research use only."""

__version__ = "0.1.0"
