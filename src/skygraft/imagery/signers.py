"""Whose signature a catalogue's addresses need."""

from __future__ import annotations

from skygraft.imagery.planetary import OpenStorage, PlanetaryComputer, Signer
from skygraft.imagery.requester_pays import Keys, RequesterPays
from skygraft.imagery.scenes import Catalogue


def signer_of(catalogue: Catalogue, deadline_s: float) -> Signer:
    """The signer of a catalogue's files.

    Args:
        catalogue: Which collection.
        deadline_s: Seconds to wait for a token.

    Raises:
        ConfigError: Its readers need keys of their own, and there are none.
    """
    if catalogue.paid:
        return RequesterPays(Keys.from_environment())
    return PlanetaryComputer(deadline_s) if catalogue.signed else OpenStorage()
