"""The Processing Log API of one account: Basic authentication, JSON, an offset (seed s2s_data_import)."""

import threading

from bridge.clock import SECOND, Clock
from bridge.config import Account, ProcessingLogSettings
from bridge.config.fault import Location, written
from bridge.errors import BridgeError
from bridge.platform.api import Api, Json, Limits, Site
from bridge.platform.basic_auth import BasicAuth

LIMITS = Limits(attempts=2, whole=30 * SECOND, silence=20 * SECOND, patience=30 * SECOND, bytes=4_000_000)
"""A page comes or fails well within the silence that a thread may keep: it is asked for again soon. Its bytes
take up to sixty times the memory as objects: 4 MB are a page of ten thousand files."""


class LogClient:
    """One account's."""

    def __init__(
        self,
        account: Account,
        settings: ProcessingLogSettings,
        path: Location,
        clock: Clock,
        stop: threading.Event | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            account: Whose credentials are sent where the log has none of its own.
            settings: The log's.
            path: Of the settings in the configuration, for remedies.
            clock: Whose time is waited.
            stop: Once it is set a call fails at once.
        """
        password_file = settings.password_file or account.sftp.password_file
        if password_file is None:  # a rule of the configuration sees to it
            raise BridgeError(f"{written(path)}.password_file: missing; name the file of the log's password")
        self._settings = settings
        self._api = Api(
            Site(name="the processing log", url=settings.url.rstrip("/"), setting=written(path)),
            clock=clock,
            auth=BasicAuth(settings.username or account.sftp.username, password_file),
            limits=LIMITS,
            stop=stop,
        )

    def page(self, offset: int) -> Json:
        """The log from an offset on.

        Raises:
            CallFailed: There was no answer that settles it.
        """
        return self._api.get(self._settings.path, {self._settings.offset_parameter: offset})

    def close(self) -> None:
        """Give the connection back."""
        self._api.close()
