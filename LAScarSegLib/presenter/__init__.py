"""What the panel decides and computes, without Qt: choices, runs, edits, review. Works on real MRML in any Python."""
