"""The LA surface: mesh, projection of grey levels and scar, planes."""
