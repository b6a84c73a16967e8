"""Scar from grey levels alone: the blood pool, the published threshold rules, the threshold curve."""
