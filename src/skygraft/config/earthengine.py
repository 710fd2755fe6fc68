"""What imagery from Google Earth Engine needs beside its catalogue."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skygraft.config.base import Section, operation
from skygraft.config.network import Network


class EarthEngineAccess(Section):
    """Google Earth Engine; its credentials come from the environment or from its client's own file, never from here."""

    project: str | None = operation(None, "Google Cloud project that pays; none: EARTHENGINE_PROJECT, or the one of the credentials")
    url: str = operation("https://earthengine-highvolume.googleapis.com", "the service; this address is made for many small requests")
    network: Network = operation(
        Network(concurrency=40, per_second=100, read_timeout_s=300, deadline_s=900, attempts=8),
        "limits towards the service: 40 requests at once and 100 a second are what a project may ask",
    )


class EarthEngine(EarthEngineAccess):
    """Google Earth Engine for Sentinel-2: access to it, and what tells clouds there."""

    clouds: Literal["cloud_score_plus", "scl"] = Field("cloud_score_plus", description="what tells a tile's clouds; scl: cloud_classes")
    clear_band: Literal["cs", "cs_cdf"] = Field("cs_cdf", description="band of Cloud Score+")
    clear_above: float = Field(0.6, ge=0, le=1, description="a pixel of this score or more is clear; 0.5 to 0.65 is usual")
