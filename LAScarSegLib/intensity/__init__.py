"""Grey levels: the blood pool, the rules that find scar, the curve over all thresholds."""
