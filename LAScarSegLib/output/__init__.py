"""An analysis on disk: volumes, surface, tables, figures, report, scene."""
