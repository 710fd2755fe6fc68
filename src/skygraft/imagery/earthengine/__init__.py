"""Google Earth Engine: scenes listed for many tiles at once, and pixels computed on the tiles' own grids."""
