"""Basic authentication (RFC 7617) with a password that is read from its file at each call."""

import base64
from collections.abc import Generator
from pathlib import Path

import httpx2

from bridge.config.secret import read_secret


class BasicAuth(httpx2.Auth):
    """Who asks: a user name, and the file of the password, so that a rotated one is taken up."""

    def __init__(self, username: str, password_file: Path) -> None:
        self._username = username
        self._password_file = password_file

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """The request with its header.

        Raises:
            BridgeError: The file cannot be read.
        """
        said = self._username + ":" + read_secret(self._password_file).reveal()
        request.headers["Authorization"] = "Basic " + base64.b64encode(said.encode()).decode()
        yield request
