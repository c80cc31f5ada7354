"""A connection that fails for a reason that is known where it fails."""

from bridge.deliver.remote import Reason


class Refusal(Exception):  # noqa: N818  # it is an answer, and becomes an UploadFailed
    """The connection failed for a reason that we know; the message holds no secret."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
