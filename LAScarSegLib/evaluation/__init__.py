"""How good a segmentation is: voxel, surface and LAScarQS metrics, cohorts of cases, statistics (SCIENCE section 6)."""
