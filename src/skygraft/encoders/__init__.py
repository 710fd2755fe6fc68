"""Image and text encoders: the frozen CLIP, and the satellite towers that learn from it."""
