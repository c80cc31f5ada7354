"""What an API refuses, as data: the shell makes an answer of it (`answers`)."""

from http import HTTPStatus
from typing import NoReturn


class Refused(Exception):  # noqa: N818  # it names what became of a request, which an answer tells
    """What was asked is not done."""

    def __init__(
        self, status: HTTPStatus, message: str, *, code: str = "", details: tuple[str, ...] = ()
    ) -> None:
        """Say what the answer says.

        Args:
            status: Of the answer.
            message: A line for people.
            code: For programs; empty: the status's phrase.
            details: One for each fault, if there are several.
        """
        self.status = status
        self.message = message
        self.code = code or status.phrase.lower().replace(" ", "-")
        self.details = details
        super().__init__(message)


def bad(message: str, *details: str) -> NoReturn:
    """Refuse what was sent: 400."""
    raise Refused(HTTPStatus.BAD_REQUEST, message, details=details)
