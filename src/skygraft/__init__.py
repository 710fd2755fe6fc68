"""Satellite vision-language models without text labels, from geotagged ground photos."""

__version__ = "0.1.0"
