"""Cavity, wall and their distances."""
