"""The schema registry: texts of writer schemas by their id.

An id means one schema for ever, so what was found is kept for ever. What was not found is asked for again,
but not at each event: a producer may be ahead of the registry's replica.
"""

import re
from typing import Protocol
from urllib.parse import urlsplit

import httpx2
import structlog
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from bridge.clock import MINUTE, SECOND, Clock
from bridge.config import RegistrySettings, read_secret
from bridge.config.secret import Plain
from bridge.errors import BridgeError
from bridge.name_service import NameService, NoAnswer

ASK_AGAIN = MINUTE
"""How long an id counts as unknown before the registry is asked again; milliseconds."""

TIMEOUT = 5 * SECOND
"""Of connecting, and of each wait for a part of the answer; milliseconds."""

_NOT_FOUND = 404
_SCHEMA_NOT_FOUND = 40403
"""The registry's own code; a 404 without it comes from something else at that address."""
_FORBIDDEN = {401: "refused the log-in", 403: "forbids reading schemas"}
_MOST_MISSES = 10_000

_log = structlog.get_logger()


class RegistryUnreachable(BridgeError):  # noqa: N818  # the name says what happened
    """The registry gave no answer that settles what a schema is: the same question may be asked later."""


class UnknownSchema(LookupError):  # noqa: N818  # it is an answer
    """The registry is sure that an id has no Avro schema; the text says what is wrong."""


class Schemas(Protocol):
    """Where texts of writer schemas come from."""

    def text(self, schema_id: int) -> str:
        """The schema's JSON text.

        Raises:
            UnknownSchema: There is none with this id.
            RegistryUnreachable: It is not known now whether there is one.
        """
        ...


class Registry:
    """A schema registry that speaks Confluent's protocol."""

    def __init__(self, settings: RegistrySettings, clock: Clock, names: NameService | None = None) -> None:
        """`names`: None, the system's."""
        self._settings = settings
        self._names = names or NameService()
        self._clock = clock
        self._client: SchemaRegistryClient | None = None
        self._texts: dict[int, str] = {}
        self._misses: dict[int, tuple[int, str]] = {}

    def text(self, schema_id: int) -> str:
        """As Schemas has it."""
        known = self._texts.get(schema_id)
        if known is not None:
            return known
        now = self._clock.now()
        asked_at, detail = self._misses.get(schema_id, (None, ""))
        if asked_at is not None and 0 <= now - asked_at < ASK_AGAIN:
            raise UnknownSchema(detail)
        try:
            text = _usable(self._ask(schema_id))
        except UnknownSchema as miss:
            self._remember_miss(schema_id, now, str(miss))
            raise
        self._misses.pop(schema_id, None)
        self._texts[schema_id] = text
        _log.info("schema_fetched", schema_id=schema_id)
        return text

    def close(self) -> None:
        """Give back the connections; the next question opens new ones, with the password read anew."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _remember_miss(self, schema_id: int, now: int, detail: str) -> None:
        if len(self._misses) >= _MOST_MISSES:  # garbage that looks like framing has any number of ids
            self._misses.clear()
        self._misses[schema_id] = (now, detail)

    def _ask(self, schema_id: int) -> Schema:
        """One GET. Messages quote neither the client's errors nor the answer: both may hold credentials."""
        if self._client is None:
            self._see_name_service()
        try:
            return self._connected().get_schema(schema_id)
        except SchemaRegistryError as error:
            if (error.http_status_code, error.error_code) == (_NOT_FOUND, _SCHEMA_NOT_FOUND):
                raise UnknownSchema("not in the registry") from None
            self.close()
            raise self._unreachable(_answer(error.http_status_code)) from None
        except httpx2.TimeoutException:
            self.close()
            raise self._unreachable(
                f"does not answer within {TIMEOUT // SECOND} s; see that it runs"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            self.close()
            what = f"is not reachable ({type(error).__name__}); see that it runs, and schema_registry.url"
            raise self._unreachable(what) from None
        except (ValueError, TypeError, AttributeError, KeyError):
            raise self._unreachable("answers with no schema; see that schema_registry.url is right") from None

    def _see_name_service(self) -> None:
        """The client's time limits begin behind it; what it answers, the client asks again and tells."""
        address = urlsplit(self._settings.url)
        try:
            port = address.port or (443 if address.scheme == "https" else 80)
            self._names.addresses(address.hostname or "", port, TIMEOUT / SECOND)
        except NoAnswer as error:
            raise self._unreachable(f"cannot be asked: {error}") from None
        except (OSError, ValueError):
            return

    def _connected(self) -> SchemaRegistryClient:
        if self._client is None:
            configuration: dict[str, object] = {
                "url": self._settings.url,
                "timeout": TIMEOUT / SECOND,
                "max.retries": 0,  # whoever asks tries again, and can be stopped between two tries
            }
            if self._settings.username is not None:
                log_in = self._settings.username + ":" + self._password()
                configuration["basic.auth.user.info"] = Plain(log_in)
            self._client = SchemaRegistryClient(configuration)
        return self._client

    def _password(self) -> str:
        if self._settings.password_file is None:
            return ""
        try:
            return read_secret(self._settings.password_file).reveal()
        except BridgeError as error:  # a secret that is being replaced is there again soon
            raise self._unreachable(f"cannot be asked: {error}") from None

    def _unreachable(self, what: str) -> RegistryUnreachable:
        return RegistryUnreachable(f"schema registry {without_credentials(self._settings.url)} {what}")


def without_credentials(url: str) -> str:
    """The address without what stands before an @, and without query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{re.sub(r'.*@', '', parts.netloc)}{parts.path}"


def _answer(status: int) -> str:
    """What an answer without a schema means, and what to do."""
    if status in _FORBIDDEN:
        return f"{_FORBIDDEN[status]} (HTTP {status}); see schema_registry.username and .password_file"
    if status == _NOT_FOUND:
        return "is no schema registry (HTTP 404 without its code); see that schema_registry.url is right"
    return f"fails (HTTP {status}); see its log"


def _usable(schema: Schema) -> str:
    """The text of an Avro schema that stands for itself."""
    if schema.schema_type not in {None, "AVRO"}:
        raise UnknownSchema("not an Avro schema")
    if schema.references:
        raise UnknownSchema("refers to other schemas of the registry, which is not supported")
    if not isinstance(schema.schema_str, str):
        raise UnknownSchema("has no text")
    return schema.schema_str
