"""A result as files: volumes, tables, figures, report; and read back."""
