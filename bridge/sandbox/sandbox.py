"""The stand-in as a whole: an SFTP server, processing, and HTTP, over one directory."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Self

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.observe.http import HEADERS
from bridge.sandbox.application import application
from bridge.sandbox.browsers import Browser, Browsers
from bridge.sandbox.control import LONGEST, Control
from bridge.sandbox.faults import Faults
from bridge.sandbox.introduction import introduction
from bridge.sandbox.journal import Journal
from bridge.sandbox.log_api import LogApi
from bridge.sandbox.login import Credentials, LogIn
from bridge.sandbox.page import Quota, View, rendered
from bridge.sandbox.processing import Processing
from bridge.sandbox.session import PartnerSession
from bridge.sandbox.settings import Address, Settings
from bridge.sandbox.sftp_server import Arrival, Partner, SftpServer
from bridge.sandbox.site import CLIENT_ID, SandboxSite
from bridge.sandbox.sync_domain import SyncDomain
from bridge.sandbox.taxonomies.api import SegmentsApi, Writes
from bridge.sandbox.taxonomies.catalogue import HeldTaxonomy
from bridge.sandbox.taxonomies.store import Store
from bridge.taxonomy.reading import LARGEST_DOCUMENT
from bridge.web.bounds import Bounds
from bridge.web.server import WebServer


class Sandbox:
    """Runs from its entry to its exit."""

    def __init__(self, site: SandboxSite, settings: Settings, clock: Clock) -> None:
        """Nothing listens yet."""
        self.site = site
        self.settings = settings
        self.faults = Faults()
        self.processing = Processing(
            site.files, Journal(site.journal), rules=settings.rules, order=settings.order, clock=clock
        )
        self._clock = clock
        self._login = self._log_in()
        self._segments = SegmentsApi(
            Store(site.taxonomies), settings.segments, self._login, faults=self.faults, clock=clock
        )
        self._browsers = Browsers()
        self._running = ExitStack()
        self._server = SftpServer(
            site.files,
            clock=clock,
            partner=Partner(username=settings.username, password=site.password),
            limits=settings.limits,
            session=partial(PartnerSession, taken=self.processing.taken),
            address=settings.sftp,
            key=site.host_key,
            heard=self._hear,
        )
        self._http_port = settings.http.port

    @property
    def sftp(self) -> Address:
        """Where the SFTP server listens, once it does."""
        return Address(host=self.settings.sftp.host, port=self._server.port)

    @property
    def http(self) -> Address:
        """Where the page is, once it is."""
        return Address(host=self.settings.http.host, port=self._http_port)

    @property
    def host_key(self) -> str:
        """Of the SFTP server: `ssh-ed25519 AAAA...`, to be pinned."""
        return self._server.host_key

    @property
    def introduction(self) -> str:
        """How a bridge is pointed at it, once it runs."""
        return introduction(self.settings, self.site, sftp=self.sftp, http=self.http, host_key=self.host_key)

    @property
    def fault(self) -> BridgeError | None:
        """Why it cannot go on."""
        return self.processing.fault

    @property
    def taxonomies(self) -> tuple[HeldTaxonomy, ...]:
        """All that are held, in the order of their creation."""
        return self._segments.held

    @property
    def writes(self) -> Writes:
        """What was done to them since the start."""
        return self._segments.writes

    @property
    def browsers(self) -> Sequence[Browser]:
        """Those that sync tags have brought since the start; the last one first."""
        return self._browsers.all

    def __enter__(self) -> Self:
        """Load again what was loaded, then listen.

        Raises:
            BridgeError: The directory is used by another, a file in it was changed, an address is taken.
        """
        with ExitStack() as stack:
            stack.enter_context(self.site.lock(self._clock))
            self.processing.restore(self.settings.limits.temporary_suffix)
            self._segments.restore()
            self._server.remember(
                Arrival(name=one.name, at=one.received_at, bytes=one.bytes)
                for one in self.processing.records()
            )
            http = stack.enter_context(self._web())
            self._http_port = http.port
            self.processing.start()
            stack.callback(self.processing.stop)
            self._server.start()
            stack.callback(self._server.stop)
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _hear(self, arrival: Arrival) -> None:
        self.processing.hear(arrival.name, arrival.bytes, arrival.at)

    def _web(self) -> WebServer:
        settings = self.settings
        log = LogApi(
            self.processing.records,
            self.faults,
            username=settings.username,
            password=self.site.password,
            page_size=settings.page_size,
        )
        return WebServer(
            application(
                self._page,
                log,
                self._segments,
                self._login,
                SyncDomain(self._browsers, self._clock.now),
                control=self._control(),
                log_path=settings.log_path,
            ),
            str(settings.http),
            setting="--listen",
            headers=HEADERS | {"Server": "s2s-bridge sandbox", "Connection": "close"},
            bounds=Bounds(
                answer_seconds=2.0 * LONGEST,  # an answer may be slow because that was asked for
                request_bytes=LARGEST_DOCUMENT,
            ),
        )

    def _log_in(self) -> LogIn:
        return LogIn(
            Credentials(
                username=self.settings.username,
                password=self.site.password,
                client_id=CLIENT_ID,
                client_secret=self.site.client_secret,
            ),
            needs=self.settings.segments.needs,
            seconds=self.settings.segments.token_seconds,
            faults=self.faults,
            now=self._clock.now,
        )

    def _control(self) -> Control | None:
        return Control(self.faults, self.processing.resume) if self.settings.control else None

    def _page(self) -> bytes:
        files, size = self._server.used()
        limits = self.settings.limits
        return rendered(
            View(
                now=self._clock.now(),
                sftp=str(self.sftp),
                username=self.settings.username,
                log_path=self.settings.log_path,
                files=self.processing.records(),
                held=self.processing.held(),
                taxonomies=self.taxonomies,
                browsers=self.browsers,
                tags_refused=self._browsers.refusals,
                suspended=self.processing.suspended,
                fault=str(self.fault or ""),
                refusals=self._server.violations,
                quotas=(
                    Quota(name="Files of this hour", used=files, limit=limits.files_per_hour),
                    Quota(name="Bytes of this day", used=size, limit=limits.bytes_per_day, bytes=True),
                ),
            )
        )
