"""How close a mask comes to a reference: voxel, surface and scar scores, and their tables."""
