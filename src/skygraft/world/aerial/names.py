"""The hosts that give aerial pictures; a module without weight, since every start of the services reads it."""

from __future__ import annotations

from skygraft.world.signatures import BLOB_DOMAIN

BING = "dev.virtualearth.net"
BING_TILES = tuple(f"ecn.t{k}.tiles.virtualearth.net" for k in range(8))
AZURE = "atlas.microsoft.com"
WAYBACK, WAYBACK_DAYS = "wayback.maptiles.arcgis.com", "metadata.maptiles.arcgis.com"
WAYBACK_LIST = "s3-us-west-2.amazonaws.com"
XYZ = "tiles.aerial.example"
NAIP_ACCOUNT, NAIP_CONTAINER = "naipeuwest", "naip"
NAIP = NAIP_ACCOUNT + BLOB_DOMAIN
HOSTS = frozenset((BING, *BING_TILES, AZURE, WAYBACK, WAYBACK_DAYS, WAYBACK_LIST, XYZ, NAIP))
