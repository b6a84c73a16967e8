"""The command line: one file a command. Parsing and printing only; the work is done below."""
