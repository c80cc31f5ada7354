"""`python -m bridge.observe.probe [URL]`: what `/healthz` says, as an exit code.

For whoever asks by a command, as an image's HEALTHCHECK does: nothing but the standard library is imported,
so it costs a twentieth of what `s2s-bridge` costs to start. A proxy of the environment is not asked. Without
a URL it is the usual one of what runs as process 1: of the bridge, or of the user sync.

| exit | meaning |
|---|---|
| 0 | the process works |
| 1 | it does not, or did not answer |
| 2 | the URL is none |
"""

import os
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

URL = "http://127.0.0.1:8080/healthz"
"""The bridge's, by the default of `http.listen`."""

SYNC_URL = "http://127.0.0.1:8091/healthz"
"""The user sync's, by the default of `user_sync.status_listen`."""

VARIABLE = "S2S_HEALTH_URL"
"""Of the environment; it stands in where no URL is given."""

REMEDY = "see http.listen, or user_sync.status_listen"

TIME = 3.0
"""Seconds for each step of the answer."""

LARGEST = 4_096
"""Bytes of an answer that are shown."""


def main(arguments: Sequence[str], environment: Mapping[str, str], running: Sequence[str] = ()) -> int:
    """Ask, print what was answered, and give the exit code; for `running` see `asked`."""
    url = asked(arguments, environment, running)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return _told(f"{url} is no URL; write it as {URL}", 2)
    if parts.scheme != "http" or not parts.hostname:
        return _told(f"{url} is no http URL; write it as {URL}", 2)
    connection = HTTPConnection(parts.hostname, port, timeout=TIME)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        text = answer.read(LARGEST).decode(errors="replace")
    except (OSError, HTTPException, UnicodeError) as error:  # the last: of a host or path that is none
        text = f"{url} does not answer ({error or type(error).__name__}); {REMEDY}"
        return _told(text, 1)
    finally:
        connection.close()
    return _told(text.strip(), 0 if answer.status == HTTPStatus.OK else 1)


def asked(arguments: Sequence[str], environment: Mapping[str, str], running: Sequence[str]) -> str:
    """The URL that is given, or the environment's; else where the command `running` listens by default."""
    usual = SYNC_URL if ("sync", "serve") in pairwise(running) else URL
    return arguments[0] if arguments else environment.get(VARIABLE) or usual


def process_1() -> list[str]:
    """The words that it was started with; none where there is nothing to see."""
    try:
        return Path("/proc/1/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _told(text: str, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, process_1()))
