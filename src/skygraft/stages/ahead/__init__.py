"""What a run will need, told before it starts: counts, work, sources, problems."""
