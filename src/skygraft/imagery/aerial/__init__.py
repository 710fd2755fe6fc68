"""Aerial pictures from map services: Bing Maps, Azure Maps, Esri Wayback, and any service of web tiles."""
