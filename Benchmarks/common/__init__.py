"""What the benchmarks share: a simulated scan, repetitions, tables and bars. A folder of its own, so that it isn't run as one."""
