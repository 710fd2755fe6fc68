"""The configuration models: strict, with identity apart from operation."""
