"""One HTTP API of the platform: calls with JSON, and what is known when one fails.

A question (`get`) is asked again where the failure may pass. What changes something (`post`) is said again
only where the platform has certainly not heard it: there is no idempotency key (domain.md), so after any
other failure the caller looks before it says it again.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import urlsplit

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from bridge.backoff import growing
from bridge.clock import MINUTE, SECOND, Clock
from bridge.errors import BridgeError
from bridge.name_service import NameService, NoAnswer, NotWanted
from bridge.platform.call import TooLong, waited_for
from bridge.platform.quoting import printable

Json: TypeAlias = dict[str, object]
"""The body of an answer: an object."""

_LONGEST_SECONDS = 9
"""Digits; a longer wait is none."""

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)})
"""What may be otherwise in a while. Proxies say 5xx that no standard knows, as 520 or 524."""

_DONE_OR_NOT = _PASSING - {HTTPStatus.TOO_MANY_REQUESTS} | {HTTPStatus.SEE_OTHER}
"""After which what was posted may have been done."""


class Outcome(StrEnum):
    """What a failed call means."""

    NOT_DONE = "not_done"
    """The platform has not heard it, or has said that it did nothing, for now."""
    UNKNOWN = "unknown"
    """It may have been done."""
    REFUSED = "refused"
    """The platform has said that it will not do it."""


class CallFailed(BridgeError):  # noqa: N818  # it tells what happened, as its outcome does
    """A call failed; the message is one line without secrets."""

    def __init__(
        self,
        message: str,
        *,
        outcome: Outcome,
        status: int | None = None,
        code: str = "",
        passing: bool = False,
        after: int = 0,
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status
        """Of HTTP; None: there was no answer."""
        self.code = code
        """The platform's own word for the fault; empty: it has none."""
        self.passing = passing
        """It may be otherwise in a while."""
        self.after = after
        """Not to be said again for so long, ms, as the platform asks (Retry-After)."""


class CallStopped(CallFailed):
    """Nobody wants the answer any more: the process stops."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a call may take."""

    attempts: int = 5
    """Of a question, or of what was certainly not heard."""
    connect: int = 5 * SECOND
    """Of asking for the address and of connecting, ms."""
    silence: int = 20 * SECOND
    """Of each wait for a part of the answer, ms."""
    whole: int = 2 * MINUTE
    """From connecting to the answer's last byte, however steadily it drips, ms."""
    patience: int = MINUTE
    """A longer Retry-After is not waited for: the call fails, and tells of it; ms."""
    bytes: int = 64_000_000
    """Of an answer."""
    per_second: float = 5.0
    """Calls, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Which API it is, and who asks."""

    name: str
    """For messages: `the processing log`."""
    url: str
    """Its address, without a slash at the end."""
    setting: str
    """The configuration's key that names it, for remedies: `accounts[0].platform.processing_log`."""
    url_key: str = "url"
    """Below that, the key of its address."""

    @property
    def url_setting(self) -> str:
        """The configuration's key of its address."""
        return f"{self.setting}.{self.url_key}"


class Api:
    """Calls to one address, one at a time; the connection is kept between them."""

    def __init__(
        self,
        site: Site,
        *,
        clock: Clock,
        auth: httpx2.Auth | None = None,
        limits: Limits | None = None,
        stop: threading.Event | None = None,
        names: NameService | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            site: The address.
            clock: Whose time is waited.
            auth: How calls are authenticated; a secret is read from its file at each.
            limits: What a call may take.
            stop: Once it is set nothing is waited out, no answer and no pause: the call fails.
            names: None: the system's.
        """
        self.site = site
        self._clock = clock
        self._limits = limits or Limits()
        self._stop = stop or threading.Event()
        self._names = names or NameService()
        self._next_at = 0
        self._auth = auth
        self._client = self._connected()

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def cookie(self, name: str) -> str | None:
        """The value of a cookie that answers have set; None: there is none."""
        return next((cookie.value for cookie in self._client.cookies.jar if cookie.name == name), None)

    def _connected(self) -> httpx2.Client:
        """No redirect is followed: the credentials would go along."""
        return httpx2.Client(
            auth=self._auth,
            headers={"Accept": "application/json", "User-Agent": "s2s-bridge"},
            timeout=httpx2.Timeout(self._limits.silence / SECOND, connect=self._limits.connect / SECOND),
            follow_redirects=False,
        )

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        """Ask; where the failure may pass, again.

        Raises:
            CallFailed: There was no answer that settles it.
        """
        return self._repeated(lambda: self._call("GET", path, params=params), lambda failure: failure.passing)

    def post(self, path: str, body: object) -> Json:
        """Say; again only where the platform has certainly not heard it.

        Raises:
            CallFailed: Its outcome says whether it may have been done.
        """
        return self._repeated(
            lambda: self._call("POST", path, body=body),
            lambda failure: failure.passing and failure.outcome is Outcome.NOT_DONE,
        )

    def _repeated(self, call: Callable[[], Json], again: Callable[[CallFailed], bool]) -> Json:
        def wanted(failure: BaseException) -> bool:
            return (
                isinstance(failure, CallFailed) and again(failure) and failure.after <= self._limits.patience
            )

        def pause(state: RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            after = failure.after if isinstance(failure, CallFailed) else 0
            return max(after, growing(state.attempt_number)) / SECOND

        retrying = Retrying(
            retry=retry_if_exception(wanted),
            wait=pause,
            stop=stop_after_attempt(self._limits.attempts),
            sleep=lambda seconds: self._wait(round(seconds * SECOND)),
            reraise=True,
        )
        return retrying(call)

    def _wait(self, duration: int) -> None:
        if duration > 0 and self._clock.wait(self._stop, duration):
            raise self._stopped()

    def _call(
        self, method: str, path: str, *, params: Mapping[str, str | int] | None = None, body: object = None
    ) -> Json:
        self._wait(self._next_at - self._clock.elapsed())
        self._next_at = self._clock.elapsed() + round(SECOND / self._limits.per_second)
        self._see_name_service()
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = None if body is None else {"Content-Type": "application/json"}
        with self._failing(method):
            request = self._client.build_request(
                method, self.site.url + path, params=params, content=content, headers=headers
            )
            answer, said = self._waited_for(request)
        return self._read(answer, said, method)

    def _waited_for(self, request: httpx2.Request) -> tuple[httpx2.Response, bytes]:
        client = self._client

        def ask() -> tuple[httpx2.Response, bytes]:
            answer = client.send(request, stream=True)
            try:
                return answer, self._content(answer)
            finally:
                answer.close()

        try:
            return waited_for(ask, self._limits.whole / SECOND, self._stop)
        except (TooLong, NotWanted):
            self._client = self._connected()
            client.close()  # its thread ends at the next piece, or when there is none for `silence`
            raise

    def _content(self, answer: httpx2.Response) -> bytes:
        content = bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > self._limits.bytes:
                raise self._failed(
                    f"answers with more than {self._limits.bytes:,} bytes; see {self.site.setting}",
                    outcome=_heard(answer.request.method),
                )
        return bytes(content)

    def _read(self, answer: httpx2.Response, content: bytes, method: str) -> Json:
        if not answer.is_success:
            raise self._refused(answer, content, method)
        try:
            said = json.loads(content)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise self._failed(
                f"answers with no JSON object (HTTP {answer.status_code}); see that "
                f"{self.site.setting} is right",
                outcome=_heard(method),
                status=answer.status_code,
            )
        return said

    def _refused(self, answer: httpx2.Response, content: bytes, method: str) -> CallFailed:
        status = answer.status_code
        code, message = _fault(content)
        if status == HTTPStatus.UNAUTHORIZED:
            what = f"refuses the log-in (HTTP {status}); see the credentials of {self.site.setting}"
        elif answer.has_redirect_location:
            what = (
                f"sends to another address (HTTP {status}), where credentials do not go by themselves; "
                f"see {self.site.url_setting}"
            )
        elif status in _PASSING:
            what = f"is busy or ill (HTTP {status}{_quoted(code, message)}); try again in a while"
        else:
            what = f"refuses (HTTP {status}{_quoted(code, message)}); see {self.site.setting}"
        passing = Outcome.NOT_DONE if status in _PASSING else Outcome.REFUSED
        return self._failed(
            what,
            outcome=Outcome.UNKNOWN if method != "GET" and status in _DONE_OR_NOT else passing,
            status=status,
            code=code,
            passing=status in _PASSING,
            after=_retry_after(answer.headers.get("Retry-After", ""), self._clock.now()),
        )

    @contextmanager
    def _failing(self, method: str) -> Iterator[None]:
        """Messages quote no error of the client's: it may hold what was sent."""
        try:
            yield
        except CallFailed:
            raise
        except BridgeError as error:  # a secret's file
            raise self._failed(f"cannot be asked: {error}", outcome=Outcome.NOT_DONE) from None
        except NotWanted:
            raise self._stopped("was not waited for", _heard(method)) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            raise self._unconnected(error) from None
        except (httpx2.TimeoutException, TooLong):
            what = (
                f"gives no whole answer in time; see that it is well, and the line to {self.site.url_setting}"
            )
            raise self._failed(what, outcome=_heard(method), passing=True) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            kind = type(error).__name__
            what = f"breaks the connection off ({kind}); see that {self.site.url_setting} is right"
            raise self._failed(what, outcome=_heard(method), passing=True) from None

    def _unconnected(self, error: httpx2.TransportError) -> CallFailed:
        """Nothing was heard. What is wrong with a certificate does not pass by itself."""
        of_tls = _of_tls(error)
        if isinstance(of_tls, ssl.SSLCertVerificationError):
            what = (
                f"shows a certificate that is not accepted; see that {self.site.url_setting} is right, and "
                f"that this machine trusts who issued it"
            )
        elif of_tls is not None:
            what = f"does not speak TLS as it should; see scheme and port of {self.site.url_setting}"
        else:
            what = f"is not reachable; see that it runs, and {self.site.url_setting}"
        return self._failed(what, outcome=Outcome.NOT_DONE, passing=of_tls is None)

    def _see_name_service(self) -> None:
        """The client's time limits begin behind it; what it answers, the client asks again and tells."""
        address = urlsplit(self.site.url)
        try:
            port = address.port or (443 if address.scheme == "https" else 80)
            self._names.addresses(
                address.hostname or "", port, self._limits.connect / SECOND, lambda: not self._stop.is_set()
            )
        except NoAnswer as error:
            raise self._failed(f"cannot be asked: {error}", outcome=Outcome.NOT_DONE, passing=True) from None
        except NotWanted:
            raise self._stopped() from None
        except (OSError, ValueError):
            return

    def _stopped(self, what: str = "was not asked", outcome: Outcome = Outcome.NOT_DONE) -> CallStopped:
        return CallStopped(f"{self.site.name} at {self.site.url} {what}: the process stops", outcome=outcome)

    def _failed(
        self,
        what: str,
        *,
        outcome: Outcome,
        status: int | None = None,
        code: str = "",
        passing: bool = False,
        after: int = 0,
    ) -> CallFailed:
        return CallFailed(
            f"{self.site.name} at {self.site.url} {what}",
            outcome=outcome,
            status=status,
            code=code,
            passing=passing,
            after=after,
        )


def _heard(method: str) -> Outcome:
    """What a lost answer means: a question that was heard has changed nothing."""
    return Outcome.NOT_DONE if method == "GET" else Outcome.UNKNOWN


def _of_tls(error: BaseException) -> ssl.SSLError | None:
    """What the client's error came of, if that was TLS."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _retry_after(text: str, now: int) -> int:
    """Milliseconds, of a number of seconds or a date (RFC 9110, 10.2.3); 0: it says nothing that is known."""
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST_SECONDS:
        return int(text) * SECOND
    try:
        return max(0, round(parsedate_to_datetime(text).timestamp() * SECOND) - now)
    except (ValueError, TypeError, OverflowError):
        return 0


def _fault(content: bytes) -> tuple[str, str]:
    """Code and message of the first error in an answer, printable and short; empty: there is none."""
    try:
        said = json.loads(content)
        if isinstance(said.get("error"), str):  # OAuth's (RFC 6749, 5.2)
            return printable(said["error"]), printable(said.get("error_description"))
        first = said["errors"][0]
        return printable(first.get("code")), printable(first.get("message"))
    except (ValueError, RecursionError, TypeError, AttributeError, LookupError):
        return "", ""


def _quoted(code: str, message: str) -> str:
    said = ": ".join(part for part in (code, message) if part)
    return f', "{said}"' if said else ""
