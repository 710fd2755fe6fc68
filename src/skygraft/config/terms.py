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
    "earth_engine": Terms(
        "Earth Engine",
        "Google's terms of service: free for research, education and non-profit use within a monthly quota, paid for otherwise; results "
        "may be kept, the service is not to be copied. Cloud Score+ is CC BY 4.0: name Google and Pasquarella et al. 2023",
    ),
    "earth_search": Terms("Earth Search", "a free service of Element 84 on open data; no promise of service"),
}
