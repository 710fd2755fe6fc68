"""The HTTP client that a section of the configuration asks for."""

from __future__ import annotations

from skygraft.config.network import Network
from skygraft.core.http import HostLimits, HttpClient, HttpPolicy


def http_client(network: Network, seed: int, user_agent: str | None = None) -> HttpClient:
    """A client under the section's limits; close it after use.

    Args:
        network: The limits.
        seed: Of the back-offs' jitter.
        user_agent: Whom the services see; none: skygraft's own name.
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
            user_agent=user_agent or HttpPolicy().user_agent,
            host=HostLimits(concurrency=network.concurrency, rate=network.per_second, breaker=network.dead_after),
        )
    )
