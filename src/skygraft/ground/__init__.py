"""Ground photos: sources, bytes, tile plans."""
