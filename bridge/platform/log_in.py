"""Logging in to the Audience Segments API: a bearer token by password grant, and the older API's cookie.

A token is good for a day or so (domain.md). It is renewed before its end, and once when a call is refused: by
its refresh token where there is one, else with the password, whose file is read again.
"""

import threading
from collections.abc import Generator
from dataclasses import dataclass
from http import HTTPStatus

import httpx2

from bridge.clock import DAY, HOUR, MINUTE, SECOND, Clock
from bridge.config import SegmentsAuth, read_secret
from bridge.errors import BridgeError
from bridge.platform.api import Api, CallFailed, Json, Limits, Outcome, Site

COOKIE = "adama_session"

GRANTS = {"password": "password", "password-realm": "http://auth0.com/oauth/grant-type/password-realm"}
"""A setting to the grant_type that it says."""

MARGIN = MINUTE
"""A token is renewed so long before its end, or a tenth of its life, if that is less; ms."""

UNSAID = HOUR
"""How long a token is used of which no end is said; ms."""

LONGEST = 30 * DAY
"""No token is used for longer; ms."""

_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_KEYS = {
    "invalid_grant": "username and password_file",
    "invalid_client": "client_id and client_secret_file",
    "access_denied": "audience and client_id",
}
"""OAuth's codes (RFC 6749, 5.2) to the keys that they are about."""
_ALL_KEYS = "username, password_file, client_id, client_secret_file and audience"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Token:
    """What the token endpoint has given; nothing of it is shown."""

    access: str
    refresh: str
    """Empty: there is none."""
    ends_at: int
    """By the clock's elapsed time, ms."""

    def __repr__(self) -> str:
        return "_Token()"


class _Headers(httpx2.Auth):
    """What a request brings."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response]:
        request.headers.update(self.said)
        yield request


class LogIn:
    """Who asks: `renew` is called before calls, which then bring by `auth` what it has got."""

    def __init__(
        self,
        settings: SegmentsAuth,
        *,
        setting: str,
        clock: Clock,
        limits: Limits | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            settings: Credentials, and where they go.
            setting: The configuration's key of them, for messages.
            clock: Whose time is waited, and by which tokens end.
            limits: What a call may take.
            stop: As Api has it.
        """
        self.auth = _Headers()
        """Of the calls that are made with it."""
        self._settings = settings
        self._setting = setting
        self._clock = clock
        self._bearer = _Headers()
        tokens = Site(name="the token endpoint", url=settings.token_url, setting=setting, url_key="token_url")
        sessions = Site(
            name="the session endpoint", url=settings.session_url, setting=setting, url_key="session_url"
        )
        self._tokens = Api(tokens, clock=clock, limits=limits, stop=stop)
        self._sessions = Api(
            sessions,
            clock=clock,
            auth=self._bearer,
            limits=limits,
            stop=stop,
        )
        self._token: _Token | None = None

    def close(self) -> None:
        """Give the connections back."""
        self._tokens.close()
        self._sessions.close()

    def renew(self, *, refused: bool = False) -> None:
        """Have what calls bring; nothing is asked while that is good.

        Args:
            refused: The platform has refused it: get another.

        Raises:
            CallFailed: There is none, so whatever was to be called was not: never of outcome UNKNOWN.
        """
        token = self._token
        if token is not None and self._clock.elapsed() < token.ends_at and not refused:
            return
        self._token = None
        try:
            fresh = self._refreshed(token) or self._by_password()
            self._bearer.said = {"Authorization": f"Bearer {fresh.access}"}
            self.auth.said = self._brought()
        except CallFailed as failure:
            raise self._explained(failure) from None
        self._token = fresh

    def _brought(self) -> dict[str, str]:
        if self._settings.send == "bearer":
            return self._bearer.said
        cookie = {"Cookie": f"{COOKIE}={self._session()}"}
        return cookie if self._settings.send == "session" else self._bearer.said | cookie

    def _session(self) -> str:
        self._sessions.get("")
        session = self._sessions.cookie(COOKIE)
        if session is None or not _sendable(session):
            raise self._failed(
                self._sessions, f"sets no cookie {COOKIE}; see {self._setting}.session_url, and .send"
            )
        return session

    def _refreshed(self, token: _Token | None) -> _Token | None:
        """By the refresh token; None where there is none, or it is good no more."""
        if token is None or not token.refresh:
            return None
        try:
            return self._asked({"grant_type": "refresh_token", "refresh_token": token.refresh}, token.refresh)
        except CallFailed as failure:
            if failure.outcome is Outcome.REFUSED:
                return None
            raise

    def _by_password(self) -> _Token:
        settings = self._settings
        said = {
            "grant_type": GRANTS[settings.grant],
            "username": settings.username,
            "password": self._secret("password_file"),
            "audience": settings.audience,
        }
        return self._asked(said if settings.realm is None else said | {"realm": settings.realm}, "")

    def _asked(self, said: dict[str, str], refresh: str) -> _Token:
        client = {
            "client_id": self._settings.client_id,
            "client_secret": self._secret("client_secret_file"),
        }
        asked_at = self._clock.elapsed()
        answer = self._tokens.post("", said | client)
        access = answer.get("access_token")
        if not isinstance(access, str) or not _sendable(access):
            raise self._failed(self._tokens, f"gives no access_token; see {self._tokens.site.url_setting}")
        fresh = answer.get("refresh_token")
        return _Token(
            access=access,
            refresh=fresh if isinstance(fresh, str) else refresh,
            ends_at=asked_at + _life(answer),
        )

    def _secret(self, key: str) -> str:
        try:
            return read_secret(getattr(self._settings, key)).reveal()
        except BridgeError as error:
            raise self._failed(self._tokens, f"cannot be asked: {error} ({self._setting}.{key})") from None

    def _explained(self, failure: CallFailed) -> CallFailed:
        """As said of the call that was to follow: it was not made."""
        message = str(failure)
        if failure.status in _REFUSED:
            said = f", {failure.code}" if failure.code else ""
            keys = _KEYS.get(failure.code, _ALL_KEYS)
            message = (
                f"{message.partition(' refuses')[0]} refuses the log-in (HTTP {failure.status}{said}); "
                f"see {keys} of {self._setting}"
            )
        refused = failure.outcome is Outcome.REFUSED
        return CallFailed(
            message,
            outcome=Outcome.REFUSED if refused else Outcome.NOT_DONE,
            code=failure.code,
            passing=failure.passing,
            after=failure.after,
        )

    @staticmethod
    def _failed(api: Api, what: str) -> CallFailed:
        return CallFailed(f"{api.site.name} at {api.site.url} {what}", outcome=Outcome.NOT_DONE)


def _life(answer: Json) -> int:
    """Of a token, ms."""
    seconds = answer.get("expires_in")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < LONGEST:
        return UNSAID
    life = min(LONGEST, round(seconds * SECOND))
    return life - min(MARGIN, life // 10)


def _sendable(text: str) -> bool:
    """It fits into a header, and ends none."""
    return bool(text) and text.isascii() and text.isprintable() and not set(text) & set(" ;,")
