"""The HTTP client that a section of the configuration asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from skygraft.config.model import Config
from skygraft.config.network import Network
from skygraft.core.http import HostLimits, HttpClient, HttpPolicy

# All jobs of a workflow run in one folder, and share out each host's connections in it.
_SLOTS = Path("work", "hosts")


def http_client(network: Network, seed: int, user_agent: str | None = None, *, named: Collection[str] = ()) -> HttpClient:
    """A client under the section's limits; close it after use.

    Args:
        network: The limits.
        seed: Of the back-offs' jitter.
        user_agent: Whom the services see; none: skygraft's own name.
        named: Hosts of the configuration (:func:`named_hosts`): redirects and services' answers may lead to them wherever they are.
    """
    return HttpClient(
        HttpPolicy(
            attempts=network.attempts,
            connect_timeout_s=network.connect_timeout_s,
            read_timeout_s=network.read_timeout_s,
            deadline_s=network.deadline_s,
            max_bytes=network.max_bytes,
            backoff_s=network.backoff_s,
            seed=seed,
            host=HostLimits(network.concurrency, network.per_second, network.max_pause_s, network.dead_after),
            slots=_SLOTS,
            user_agent=user_agent or HttpPolicy().user_agent,
            named=frozenset((*named, *network.trusted_hosts)),
        )
    )


def named_hosts(config: Config) -> frozenset[str]:
    """Every host that an address in the configuration names, as ``name:port``."""
    found = set()
    for text in _texts(config.model_dump(mode="json")):
        if text.startswith(("http://", "https://")) and (parts := urlsplit(text)).hostname:
            found.add(f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}")
    return frozenset(found)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
