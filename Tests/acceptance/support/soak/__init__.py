"""A long time of mixed load with random faults, and whether the programs stay as they are."""
