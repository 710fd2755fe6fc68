"""Satellite vision-language models without text labels, from geotagged ground photos."""
