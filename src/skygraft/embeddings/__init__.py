"""Photo embeddings: made once, kept, and never mixed."""
