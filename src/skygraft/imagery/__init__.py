"""Satellite imagery: catalogues, the choice of scenes, and the reading of tiles."""
