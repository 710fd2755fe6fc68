"""Benchmarks, protocols, probes, scores."""
