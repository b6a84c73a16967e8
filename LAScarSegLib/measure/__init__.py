"""The catalogues of numbers and of flags, and what computes them."""
