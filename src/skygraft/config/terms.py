"""Terms of use: named beside the source that they bind, printed by ``skygraft check`` and shown in the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """What binds whoever uses a source.

    Args:
        source: What it is: the data, or the service that hands it out.
        terms: What is allowed, asked for and promised.
        credit: Who is to be named beside pictures and numbers; none for a service that only hands out others' data.
    """

    source: str
    terms: str
    credit: str | None = None


CATALOGUE_TERMS: Mapping[str, Terms] = {
    "planetary_computer": Terms("Planetary Computer", "Microsoft's terms of use; limits on requests, no promise of service"),
    "earth_search": Terms("Earth Search", "a free service of Element 84 on open data; no promise of service"),
}
