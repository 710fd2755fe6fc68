"""Flickr: its search, cut so that nothing is missed, its journal, and the table of its photos."""
