"""One HTML file that tells a run's whole story and opens without a network."""
