"""From files to files: what is asked for, the run itself, and the process it runs in."""
