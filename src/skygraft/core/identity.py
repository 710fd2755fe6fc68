"""Short digests of values: what a stage was asked to make, apart from how."""

from __future__ import annotations

import hashlib
import json

LENGTH = 12


def digest(value: object) -> str:
    """The first 12 hexadecimal digits of the sha256 of ``value`` as canonical JSON.

    Args:
        value: Anything that JSON can hold; keys are sorted, so that equal values give equal digests.
    """
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:LENGTH]
