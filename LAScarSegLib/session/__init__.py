"""What an open panel knows and may do: its form, a run, live edits. Plain values and calls; no Qt, and nodes are only handed on."""
