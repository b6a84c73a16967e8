"""The numbers: what is measured, with units, ranges and quality flags."""
