"""Places, metres, tiles, splits and the radiometry of what is seen there."""
