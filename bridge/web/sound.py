"""What HTTP/1.1 demands of a request's head (RFC 9112), and the parser leaves to whoever uses it."""

from collections.abc import Sequence

MOST_HEADERS = 64
"""Of one request; a browser sends some twenty."""

_VERSIONS = ("1.1", "1.0")


class Unsound(Exception):  # noqa: N818  # it is an answer
    """It is refused."""


def check(version: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """See that a request means one thing, to us and to whatever stands before us.

    Args:
        version: Of the protocol, as `1.1`.
        headers: Their names are in lower case.

    Raises:
        Unsound: It is another protocol; it names no host, or several; or where its body ends is not said by
            its length or by `chunked` alone.
    """
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if version not in _VERSIONS or len(names) > MOST_HEADERS or hosts > 1 or (version == "1.1" and not hosts):
        raise Unsound
    if b"transfer-encoding" in names:
        codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
        if version != "1.1" or codings != [b"chunked"]:
            raise Unsound
