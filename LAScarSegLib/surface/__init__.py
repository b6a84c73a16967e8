"""The LA surface: mesh, projection of voxels onto it, exclusion planes, area-weighted numbers."""
