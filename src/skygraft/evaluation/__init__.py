"""Scores with a protocol, a sample size and an interval."""
