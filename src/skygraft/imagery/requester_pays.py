"""Buckets of S3 whose readers pay: addresses signed with the reader's own keys (AWS Signature Version 4, in the query).

Earth Search's NAIP lies in one. The keys come from the environment, as Amazon's own tools have it: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where they are for a while only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from skygraft.core.errors import ConfigError

_SECONDS = 3600


@dataclass(frozen=True)
class Keys:
    """Keys of an account of Amazon's.

    Args:
        name: The access key's id.
        secret: The access key.
        token: The session's token, where the keys are for a while only.
    """

    name: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls) -> Keys:
        """The keys that the environment has.

        Raises:
            ConfigError: It has none.
        """
        name, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
        if not name or not secret:
            raise ConfigError(
                "NAIP of Earth Search lies in a bucket whose readers pay: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "
                "environment or in a .env file, or choose catalogue: planetary_computer, which asks for nothing."
            )
        return cls(name, secret, os.environ.get("AWS_SESSION_TOKEN") or None)


@dataclass(frozen=True)
class RequesterPays:
    """Signs addresses ``s3://bucket/key`` for reading, at the reader's cost.

    Args:
        keys: Who pays.
        region: Where the bucket is.
        now: The time.
    """

    keys: Keys
    region: str = "us-west-2"
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    def sign(self, href: str) -> str:
        """An address over HTTPS that holds for an hour."""
        parts = urlsplit(href)
        host = f"{parts.netloc}.s3.{self.region}.amazonaws.com"
        return presigned(self.keys, host, parts.path, self.region, self.now(), extra={"x-amz-request-payer": "requester"})

    def renew(self, href: str, refused: str) -> str | None:
        """Nothing: each address is signed when it is asked for, so a refusal is final."""
        return None


def presigned(
    keys: Keys, host: str, path: str, region: str, moment: datetime, *, seconds: int = _SECONDS, extra: Mapping[str, str] | None = None
) -> str:
    """An address that whoever holds it may read.

    Args:
        keys: Who signs.
        host: The host.
        path: The path, as the object is called.
        region: The bucket's region.
        moment: When it is signed, UTC.
        seconds: How long it holds.
        extra: More parameters to be signed.
    """
    stamp, path = moment.strftime("%Y%m%dT%H%M%SZ"), quote(path, safe="/-_.~")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    asked = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{keys.name}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    asked |= ({"X-Amz-Security-Token": keys.token} if keys.token else {}) | dict(extra or {})
    query = urlencode(sorted(asked.items()), quote_via=quote, safe="-_.~")
    canonical = "\n".join(["GET", path, query, f"host:{host}\n", "host", "UNSIGNED-PAYLOAD"])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"https://{host}{path}?{query}&X-Amz-Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
