"""Logging in to the APIs: bearer tokens by password grant, as Auth0 gives them, and the session cookie.

Tokens and sessions are kept in memory: after a restart everybody logs in anew.
"""

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bridge.clock import SECOND
from bridge.sandbox.answers import error
from bridge.sandbox.faults import Api, Faults
from bridge.sandbox.meeting import met
from bridge.sandbox.taxonomies.settings import Needs

TOKEN_PATH = "/oauth/token"  # noqa: S105  # a path
SESSION_PATH = "/api/v2.0/session"
COOKIE = "adama_session"

PASSWORD = "password"  # noqa: S105  # the name of a grant
REALM = "http://auth0.com/oauth/grant-type/password-realm"
REFRESH = "refresh_token"
OFFLINE = "offline_access"
"""The scope that asks for a refresh token."""

NEEDED = {
    PASSWORD: ("username", "password", "audience"),
    REALM: ("username", "password", "audience", "realm"),
    REFRESH: ("refresh_token",),
}
"""Fields of each grant, beside client_id and client_secret."""

MOST = 1_000
"""Tokens, and sessions, that are known at a time: the newest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What is to be said at log-in."""

    username: str
    password: str = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)


class Issued:
    """Random texts that were given out, each good for so long."""

    def __init__(self, seconds: int, now: Callable[[], int]) -> None:
        self._lasts = seconds * SECOND
        self._now = now
        self._ends: dict[str, int] = {}

    def new(self) -> str:
        """One more."""
        while len(self._ends) >= MOST:
            del self._ends[next(iter(self._ends))]
        text = secrets.token_urlsafe(32)
        self._ends[text] = self._now() + self._lasts
        return text

    def good(self, text: str) -> bool:
        """Whether it was given out, and has not ended."""
        return self._now() < self._ends.get(text, 0)

    def revoke(self, text: str) -> None:
        """It is good no more."""
        self._ends.pop(text, None)


class LogIn:
    """Answers the two paths, and says whether a call may pass; in the server's loop alone."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        needs: Needs,
        seconds: int,
        faults: Faults,
        now: Callable[[], int],
    ) -> None:
        """Nobody is logged in.

        Args:
            credentials: What is asked for.
            needs: What a call must bring.
            seconds: How long tokens and sessions are good.
            faults: What log-ins meet.
            now: Epoch ms.
        """
        self._credentials = credentials
        self._needs = needs
        self._seconds = seconds
        self._faults = faults
        self._bearers = Issued(seconds, now)
        self._refreshers = Issued(seconds * MOST, now)
        self._sessions = Issued(seconds, now)

    async def token(self, request: Request) -> Response:
        """`POST /oauth/token`, as a form or as JSON."""
        return await met(self._faults.take(Api.LOGIN), partial(self._token, request))

    async def session(self, request: Request) -> Response:
        """`GET /api/v2.0/session`, with the token: sets the cookie."""
        return await met(self._faults.take(Api.LOGIN), partial(self._session, request))

    async def _token(self, request: Request) -> Response:
        fields = _fields(request.headers.get("Content-Type", ""), await request.body())
        grant = fields.get("grant_type", "")
        if grant not in NEEDED:
            return _denied(HTTPStatus.FORBIDDEN, "unsupported_grant_type", f"Unsupported grant type: {grant}")
        missing = [name for name in NEEDED[grant] if not fields.get(name)]
        if missing:
            what = f"Missing required parameter: {missing[0]}"
            return _denied(HTTPStatus.BAD_REQUEST, "invalid_request", what)
        if not self._says(fields, "client_id", "client_secret"):
            return _denied(HTTPStatus.UNAUTHORIZED, "access_denied", "Unauthorized")
        if grant == REFRESH:
            if not self._refreshers.good(fields["refresh_token"]):
                what = "Unknown or invalid refresh token."
                return _denied(HTTPStatus.FORBIDDEN, "invalid_grant", what)
        elif not self._says(fields, "username", "password"):
            return _denied(HTTPStatus.FORBIDDEN, "invalid_grant", "Wrong email or password.")
        return JSONResponse(self._issue(refresh=OFFLINE in fields.get("scope", "").split()))

    async def _session(self, request: Request) -> Response:
        if not self._bearers.good(_bearer(request)):
            return _unknown("log in first: bring the bearer token")
        answer = JSONResponse({"meta": {"status": "success"}})
        answer.set_cookie(COOKIE, self._sessions.new(), max_age=self._seconds, httponly=True)
        return answer

    def refusal(self, request: Request) -> Response | None:
        """Why a call may not pass; None: it may."""
        if self._needs is not Needs.COOKIE and not self._bearers.good(_bearer(request)):
            return _unknown("the bearer token is missing, unknown or expired")
        if self._needs is not Needs.BEARER and not self._sessions.good(request.cookies.get(COOKIE, "")):
            return _unknown(f"the cookie {COOKIE} is missing, unknown or expired")
        return None

    def revoke(self, request: Request) -> None:
        """What the call brought is good no more."""
        self._bearers.revoke(_bearer(request))
        self._sessions.revoke(request.cookies.get(COOKIE, ""))

    def _says(self, fields: Mapping[str, str], *names: str) -> bool:
        known = [getattr(self._credentials, name) for name in names]
        said = [fields.get(name, "") for name in names]
        return all(
            hmac.compare_digest(a.encode(errors="replace"), b.encode())
            for a, b in zip(said, known, strict=True)
        )

    def _issue(self, *, refresh: bool) -> dict[str, object]:
        given: dict[str, object] = {
            "access_token": self._bearers.new(),
            "token_type": "Bearer",
            "expires_in": self._seconds,
        }
        return given | ({"refresh_token": self._refreshers.new()} if refresh else {})


def _fields(kind: str, content: bytes) -> dict[str, str]:
    try:
        if kind.partition(";")[0].strip().lower() == "application/json":
            said = json.loads(content)
            pairs = said.items() if isinstance(said, dict) else ()
            return {key: value for key, value in pairs if isinstance(value, str)}
        return dict(parse_qsl(content.decode(), max_num_fields=20))
    except (ValueError, RecursionError):
        return {}


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _unknown(message: str) -> Response:
    answer = error(HTTPStatus.UNAUTHORIZED, message)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="sandbox"'
    return answer


def _denied(status: HTTPStatus, code: str, description: str) -> Response:
    """An error of the shape that OAuth gives them (RFC 6749, 5.2)."""
    return JSONResponse({"error": code, "error_description": description}, status)
