"""Training of satellite encoders against photo embeddings."""
