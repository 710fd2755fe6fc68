"""The errors of skygraft, one kind for each thing a caller can do about it.

Everything that can go wrong with an item of a shard has a :class:`Reason`: it is what the tables hold in their ``status`` column and
what the summaries count. Whether a reason is worth another try is a property of the reason, so that ``skygraft retry-failed`` needs the
table alone.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an item of a shard is as it is; ``OK`` or the name of what failed."""

    OK = "ok"
    # Transient: the same request may succeed later.
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    TRUNCATED = "truncated"
    SIGNATURE = "signature"
    # Permanent: asking again gives the same answer.
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    BAD_REQUEST = "bad_request"
    NOT_AN_IMAGE = "not_an_image"
    CORRUPT_IMAGE = "corrupt_image"
    TOO_LARGE = "too_large"
    NO_SCENE = "no_scene"
    TOO_CLOUDY = "too_cloudy"
    NO_DATA = "no_data"
    CORRUPT_SCENE = "corrupt_scene"
    NO_PHOTO = "no_photo"

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self in _TRANSIENT


_TRANSIENT = frozenset({Reason.CONNECTION, Reason.TIMEOUT, Reason.THROTTLED, Reason.SERVER_ERROR, Reason.TRUNCATED, Reason.SIGNATURE})


class SkygraftError(Exception):
    """Base of all errors that skygraft raises on purpose; its text is written for the person at the terminal."""

    exit_code = 1


class ConfigError(SkygraftError):
    """The configuration, an argument or an input of the user's own is wrong: nothing was started; mend it and call again."""

    exit_code = 2


class ItemError(SkygraftError):
    """One item failed.

    Args:
        message: What failed, what was expected, what to do; no secrets, no signed URL.
        reason: The name that the item's row takes.
        detail: What the row says about it: the message without what differs from one run to the next (attempts, waits), so that the
            same failure gives the same bytes; the message itself where not given.
    """

    def __init__(self, message: str, reason: Reason, detail: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.detail = message if detail is None else detail


class TransientError(ItemError):
    """The same request may succeed later: retry within limits, then record."""


class PermanentItemError(ItemError):
    """Asking again gives the same answer: record and go on."""


class QuotaError(TransientError):
    """A service says that its limits are reached: back off for all items, not for this one alone."""

    def __init__(
        self, message: str, reason: Reason = Reason.THROTTLED, retry_after: float | None = None, detail: str | None = None
    ) -> None:
        super().__init__(message, reason, detail)
        self.retry_after = retry_after


class EndpointError(SkygraftError):
    """A service as a whole cannot be used now: nothing more is asked of it, finished items are kept, the same command goes on later."""


class DeadHostError(EndpointError):
    """A host does not answer; where items come from many hosts, it is its own items that fail.

    Args:
        message: What failed, what to do.
        reason: Why the last item of it failed.
        what: The same in words, as the item's row has them.
    """

    def __init__(self, message: str, reason: Reason, what: str) -> None:
        super().__init__(message)
        self.reason, self.what = reason, what


class CorruptDataError(SkygraftError):
    """A file is not what it should be (checksum, truncation, schema): delete it and make it again."""


class SuccessRateError(SkygraftError):
    """A shard has fewer good items than the configuration demands; its finished items are kept for the next try."""

    exit_code = 3
