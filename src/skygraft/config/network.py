"""How requests are made: limits and patience, the same words for every service."""

from __future__ import annotations

from pydantic import Field

from skygraft.config.base import Section


class Network(Section):
    """Limits towards one service. All of it is operation: nothing here changes a byte."""

    concurrency: int = Field(16, ge=1, le=256, description="requests under way at once")
    per_second: float | None = Field(None, gt=0, description="requests a second at most; none: no limit of ours")
    connect_timeout_s: float = Field(10.0, gt=0, description="seconds to a connection")
    read_timeout_s: float = Field(30.0, gt=0, description="seconds without a byte")
    deadline_s: float = Field(120.0, gt=0, description="seconds for one item, all attempts together")
    attempts: int = Field(5, ge=1, le=20, description="tries for one item")
    backoff_s: float = Field(1.0, ge=0, description="wait after the first failed try; doubles each time")
    max_bytes: int = Field(64 << 20, ge=1, description="largest answer that is read")
    dead_after: int = Field(20, ge=1, description="connection failures in a row after which a host is taken for dead")
    max_pause_s: float = Field(300.0, ge=0, description="longest pause that a host may ask for; a longer one ends the work")
    trusted_hosts: tuple[str, ...] = Field(
        (), description="hosts of the own network (name, or name:port) that redirects and services' answers may lead to"
    )
