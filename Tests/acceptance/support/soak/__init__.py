"""Hours of mixed load with random faults, and whether the programs' resources grow."""
