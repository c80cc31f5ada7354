"""The user sync's process: browsers on one port, health and metrics on another, and a store behind them.

It stops from the outside in: no further browser is let in, and those that are in get their answers; then what
was handed to the store gets a few seconds, then the pages go.
"""

import gc
import secrets
import threading
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from math import ceil
from pathlib import Path
from typing import Self

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bridge.clock import SECOND, Clock
from bridge.config import EndpointConfig, UserSyncSettings, read_secret
from bridge.errors import BridgeError, UsageError
from bridge.ingest.client_settings import client_settings
from bridge.ingest.clients import Clients
from bridge.ingest.faults import error_of
from bridge.observe.http import TEXT, HttpServer
from bridge.observe.page import Made, Page
from bridge.observe.sync_metrics import SyncMetrics
from bridge.service.sync_topic import SyncTopic
from bridge.sync.consent import ConsentRule
from bridge.sync.cookie import CookieRule
from bridge.sync.endpoint import HEADERS, EndpointParts, application
from bridge.sync.kafka_store import PRODUCER, KafkaStore
from bridge.sync.outcome import Outcome
from bridge.sync.signature import SHORTEST
from bridge.sync.sqlite_store import SqliteStore
from bridge.sync.store import Store
from bridge.sync.visit import Rules
from bridge.web.bounds import Bounds
from bridge.web.server import WebServer

log = structlog.get_logger()

_ID_BYTES = 16
"""Of randomness in an id that we make."""

_ANSWERING = 10.0
"""Seconds for an answer, and for a request: browsers send theirs at once."""


_TURN = 2.0
"""Seconds in which what answers browsers must get round to it; less than any probe waits."""


class SyncService:
    """Answers browsers from its entry to its exit."""

    def __init__(self, config: EndpointConfig, clock: Clock, kafka: Clients | None = None) -> None:
        """Nothing is asked or listened to yet.

        Raises:
            UsageError: The configuration has no `user_sync`.
        """
        if config.user_sync is None:
            raise UsageError("user_sync: missing; write the section, as docs/user-sync.md has it")
        self._config = config
        self._settings = config.user_sync
        self._clock = clock
        self._kafka = kafka or Clients()
        self._metrics = SyncMetrics()
        self._patience = self._settings.answer_within / SECOND
        self._metrics.expect(
            Outcome, self._settings.data_centres, answer_within=self._patience, started_at=clock.now()
        )
        self._storing = _Storing(self._metrics)
        self._topic = SyncTopic(self._settings.topic_name, self._admin, clock=clock, observer=self._storing)
        self._running = ExitStack()
        self._web: WebServer | None = None
        self._status: HttpServer | None = None

    @property
    def port(self) -> int:
        """Where browsers come."""
        return self._web.port if self._web else 0

    @property
    def status_port(self) -> int:
        """Where health and metrics are."""
        return self._status.port if self._status else 0

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set.

        Raises:
            BridgeError: It cannot start, or nobody answers any more.
        """
        with self:
            # A collection that looks through all that the modules hold lets every browser wait for 50 ms.
            gc.collect()
            gc.freeze()
            log.info("sync_started")
            while not self._clock.wait(stop, SECOND):
                self._topic.look()
                if not self._serving():
                    raise BridgeError("the web server has ended; see the log, and start again")
        log.info("sync_stopped")

    def __enter__(self) -> Self:
        """See that the topic is fit, then listen.

        Raises:
            BridgeError: It is not, an address is taken, a key is short, a file cannot be used.
        """
        with ExitStack() as stack:
            listen = self._settings.status_listen
            status = HttpServer(listen, self._pages(), setting="user_sync.status_listen")
            self._status = stack.enter_context(status)
            store = self._store()
            stack.callback(store.close)
            self._web = stack.enter_context(self._server(store))
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _store(self) -> Store:
        settings = self._settings
        if settings.sqlite_file is not None:
            return SqliteStore(
                settings.sqlite_file,
                patience=self._patience,
                most=settings.max_waiting,
                observer=self._storing,
            )
        self._topic.first_look()
        properties = {"log_level": 0} | client_settings(self._config.kafka) | PRODUCER
        try:
            return KafkaStore(
                lambda: self._kafka.producer(properties),
                self._topic.name,
                usable=self._topic.usable,
                patience=self._patience,
                most=settings.max_waiting,
                observer=self._storing,
            )
        except KafkaException as exception:
            error = error_of(exception)
            raise BridgeError(
                f"kafka.properties: the client does not take them ({error.name() if error else 'unknown'}); "
                "see check --connect, and correct them"
            ) from None

    def _admin(self) -> AdminClient:
        return self._kafka.admin({"log_level": 0} | client_settings(self._config.kafka))

    def _server(self, store: Store) -> WebServer:
        settings = self._settings
        parts = EndpointParts(
            rules=_rules(settings),
            cookie=_cookie(settings),
            store=store,
            clock=self._clock,
            observer=self._metrics,
            new_id=partial(secrets.token_urlsafe, _ID_BYTES),
        )
        return WebServer(
            application(parts, path=settings.path, opt_out_path=settings.opt_out_path),
            settings.listen,
            setting="user_sync.listen",
            headers=HEADERS,
            bounds=Bounds(
                connections=settings.max_connections,
                request_bytes=settings.max_request_bytes,
                request_seconds=_ANSWERING,
                answer_seconds=_ANSWERING,
                stop_seconds=ceil(min(self._patience, _ANSWERING)),
            ),
        )

    def _pages(self) -> dict[str, Page]:
        """Ready is who answers: where the store fails, a browser is better answered than refused."""
        return {
            "/healthz": self._health,
            "/readyz": self._ready,
            "/metrics": lambda: (
                HTTPStatus.OK,
                "text/plain; version=0.0.4; charset=utf-8",
                self._metrics.text(),
            ),
        }

    def _serving(self) -> bool:
        return self._web is not None and self._web.serving

    def _health(self) -> Made:
        """A step that never ends lets every browser wait for ever, and only a start helps."""
        if self._web is not None and not self._web.turns(_TURN):
            return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"browsers are not answered in time\n"
        return self._ready()

    def _ready(self) -> Made:
        if self._serving():
            return HTTPStatus.OK, TEXT, b"ok\n"
        return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"browsers are not answered\n"


class _Storing:
    """Tells of the store's state (sync.store.StoreObserver)."""

    def __init__(self, metrics: SyncMetrics) -> None:
        self._metrics = metrics
        metrics.works(value=True)

    def failed(self, reason: str) -> None:
        """Nothing is stored from now on."""
        self._metrics.works(value=False)
        log.warning("sync_store_failed", reason=reason)

    def recovered(self) -> None:
        """Stored again."""
        self._metrics.works(value=True)
        log.info("sync_store_recovered")


def _rules(settings: UserSyncSettings) -> Rules:
    consent = settings.consent
    return Rules(
        namespace=settings.namespace,
        consent=ConsentRule(
            vendor_id=consent.vendor_id, purposes=frozenset(consent.purposes), required=consent.required
        ),
        keys=tuple(_key(at, file) for at, file in enumerate(settings.signing_key_files)),
    )


def _key(at: int, file: Path) -> bytes:
    key = read_secret(file).reveal().encode()
    if len(key) < SHORTEST:
        raise BridgeError(
            f"user_sync.signing_key_files[{at}]: {file} holds fewer than {SHORTEST} bytes; write a longer key"
        )
    return key


def _cookie(settings: UserSyncSettings) -> CookieRule:
    cookie = settings.cookie
    return CookieRule(name=cookie.name, max_age=cookie.max_age, domain=cookie.domain, path=cookie.path)
