"""Every key of the configuration: its type, default and bounds (contract.md, Configuration).

Durations are int milliseconds, sizes int bytes, paths absolute. Secrets are no part of it, only the files
that hold them. What keys must be together stands in `rules`.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from bridge.audience.audience import MM, Audience
from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config.kinds import (
    AT_LEAST_ONE,
    DailyBytes,
    Duration,
    FileBytes,
    Guard,
    HeaderValue,
    HostKey,
    Listen,
    LocalPath,
    NamePart,
    Size,
    StreamName,
    Suffix,
    TableId,
    TaxonomyName,
    Text,
    Topics,
    Url,
    Wait,
    Word,
)
from bridge.config.platform import PlatformSettings
from bridge.config.section import Section
from bridge.config.user_sync import TOPIC, UserSyncSettings

MB = 1_000_000
GB = 1000 * MB


class KafkaSettings(Section):
    """How to reach Kafka, and as whom."""

    bootstrap_servers: Word
    """host:port, further ones after commas."""
    group_id: Text = "s2s-bridge"
    """Consumer group."""
    properties: dict[str, str] = Field(default={}, repr=False)
    """Properties of librdkafka but the product's own; not in `repr`, as some hold secrets."""
    secret_properties: dict[str, LocalPath] = Field(default={})
    """Property to the file that holds its value."""


class RegistrySettings(Section):
    """A schema registry."""

    url: Url
    """Its address."""
    username: Text | None = None
    """For Basic authentication."""
    password_file: LocalPath | None = None
    """File with the password."""


class SpoolSettings(Section):
    """Where runs are kept."""

    directory: LocalPath = Path("/var/lib/s2s-bridge")
    """Folder of the spool."""
    max_bytes: Size = 20 * GB
    """Of undelivered runs, history, built files and dead letters."""
    retention: Duration = 7 * DAY
    """How long delivered runs are kept as history."""


class WindowSettings(Section):
    """When the window in memory is sealed."""

    max_age: Wait = 60 * SECOND
    """After its first event was read."""
    max_bytes: Size = 256 * MB
    """Of memory."""


class RollSettings(Section):
    """When an audience is due, and how its file is compressed."""

    max_age: Duration = 15 * MINUTE
    """Since its oldest undelivered membership was read."""
    max_bytes: Size = 500 * MB
    """Expected size of its file."""
    compression_level: Annotated[int, Field(ge=1, le=9)] = 6
    """1 to 6: faster to smaller; 7 and above: the smallest file, 4 to 9 % below 6 (docs/decisions/0016)."""


class SftpSettings(Section):
    """An account's SFTP server; credentials as `rules` has them."""

    host: Word
    port: Annotated[int, Field(ge=1, le=65_535)] = 2222
    username: Word
    password_file: LocalPath | None = None
    """File with the password; or else `private_key_file`."""
    private_key_file: LocalPath | None = None
    """File with the private key."""
    host_key: HostKey | None = None
    """The server's public key; or else `known_hosts_file`."""
    known_hosts_file: LocalPath | None = None
    """File of OpenSSH's known_hosts format."""
    directory: Text = "."
    """Remote folder."""
    temporary_suffix: Suffix | None = ".part"
    """Of the name while uploading; None: straight under the final name."""


class QuotaSettings(Section):
    """What the platform allows an account (design.md, invariant 4)."""

    files_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    bytes_per_day: DailyBytes = 5 * GB
    max_file_bytes: FileBytes = 4 * GB
    guard: Guard = 30 * SECOND
    """No upload starts this close before or after a reset."""
    replay_share: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Part of files and bytes that replays get while live data waits."""
    removals_reserve: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Part of the day's bytes kept for files of removals alone."""


class Account(Section):
    """Credentials and quota at the platform."""

    name: NamePart
    agency: NamePart
    """First part of file names."""
    partner: NamePart
    """Second part of file names."""
    sftp: SftpSettings
    quota: QuotaSettings = QuotaSettings()
    platform: PlatformSettings = PlatformSettings()
    wait_for_confirmation: bool = False
    """An audience's next file waits until the platform's log has confirmed or rejected its last one."""


class InventoryAccounts(Section):
    """A stream's accounts where cookies and device ids go to different ones."""

    display: NamePart
    """Account of cookies."""
    mobile: NamePart
    """Account of device ids."""


def _account_form(value: object) -> str:
    return "<two>" if isinstance(value, dict | InventoryAccounts) else "<one>"


class IdentifySettings(Section):
    """Whose ids the events carry, and what translates them into MM UUIDs."""

    from_: HeaderValue = Field(alias="from")
    """User namespace of the partner's ids, as the endpoint's `user_sync.namespace`."""
    table: HeaderValue = TOPIC
    """The compacted topic of mappings that the identity table is made of."""
    park: Wait = 30 * DAY
    """How long memberships of users who are not known yet wait for their first visit."""


class Stream(Section):
    """Topics whose events are alike."""

    name: StreamName
    topics: Topics
    """Names, or one regular expression that begins with ^."""
    account: Annotated[
        Annotated[NamePart, Tag("<one>")] | Annotated[InventoryAccounts, Tag("<two>")],
        Discriminator(_account_form),
    ] = "default"
    """Name of the account, or one for each inventory."""
    client: NamePart | None = None
    """Private client of events that name none; None: global."""
    clients: tuple[NamePart, ...] = ()
    """Further clients that an event may name."""
    format: Literal["avro-confluent", "avro-single-object", "avro", "json"]
    """How values are written."""
    schema_: LocalPath | None = Field(default=None, alias="schema")
    """File of the pinned writer schema; None: the registry's."""
    fields: dict[str, Text] = Field(default={})
    """Our field's name to the topic's."""
    inventory: Literal["event", "display", "mobile"] = "event"
    """Cookies or device ids: as the event says, or always."""
    user_namespace: HeaderValue = MM
    """Of events that name none."""
    user_namespaces: dict[HeaderValue, TableId] = Field(default={})
    """Further namespaces that an event may name, to their table ids; mm has an empty one."""
    user_table_id: HeaderValue | None = None
    """Of `user_namespace`, where that is not mm."""
    identify: IdentifySettings | None = None
    """Users have a partner's ids, and files MM UUIDs; None: ids are sent as they are."""
    segment_namespace: HeaderValue
    """Of events that name none."""
    segment_namespaces: tuple[HeaderValue, ...] = ()
    """Further ones that an event may name."""
    hash_segments: bool = False
    """Segment codes are texts."""
    taxonomy: TaxonomyName = None
    """The file of the taxonomy that the segments are sold by, or its id at the platform; None: not known."""
    unknown_segments: Literal["keep", "refuse"] = "keep"
    """What becomes of events with segments that the taxonomy does not hold for sale."""
    placeholder_segment: Annotated[int, Field(ge=1, le=2**31 - 1)] = 9_999_999
    """Stands in where a user is only removed from everything."""
    max_future: Duration = HOUR
    """How far ahead of our clock an event time may be."""
    max_event_bytes: Size = MB
    """Larger values are refused."""
    historical_after: Duration | None = None
    """A timestamp 0 of an older event is sent as the event's time; None: of none."""

    def account_for(self, *, mobile: bool) -> str:
        """Name of the account that device ids (mobile) or cookies go to."""
        if isinstance(self.account, str):
            return self.account
        return self.account.mobile if mobile else self.account.display

    @property
    def unresolved_namespace(self) -> str | None:
        """The user namespace whose ids are translated; None: of none."""
        return None if self.identify is None else self.identify.from_

    @property
    def event_tables(self) -> dict[str, str]:
        """The user namespaces of events, that of those that name none first, to their table ids."""
        own = {} if self.unresolved_namespace is None else {self.unresolved_namespace: ""}
        return own | self._tables

    @property
    def _tables(self) -> dict[str, str]:
        """The user namespaces of files to their table ids."""
        return {self.user_namespace: self.user_table_id or ""} | self.user_namespaces

    def translated(self) -> Iterator[tuple[Audience, Audience]]:
        """Every unresolved audience that the stream collects, and the one that it is translated into."""
        namespace = self.unresolved_namespace
        if namespace is not None:
            for audience in self.audiences():
                if audience == audience.resolved:
                    yield replace(audience, user_namespace=namespace, unresolved=True), audience

    def audiences(self) -> Iterator[Audience]:
        """Every audience that the stream's memberships may be sent to."""
        for mobile in {"event": (False, True), "display": (False,), "mobile": (True,)}[self.inventory]:
            for client in dict.fromkeys([self.client or "", *self.clients]):
                for user_namespace, user_table_id in self._tables.items():
                    for segment_namespace in dict.fromkeys(
                        [self.segment_namespace, *self.segment_namespaces]
                    ):
                        yield Audience(
                            account=self.account_for(mobile=mobile),
                            client=client,
                            user_namespace=user_namespace,
                            user_table_id=user_table_id,
                            segment_namespace=segment_namespace,
                            mobile=mobile,
                            hashed=self.hash_segments,
                        )


class DeadLetterSettings(Section):
    """Where refused events go."""

    directory: LocalPath
    """Folder of gzip JSON Lines; where none is written, the spool's `dead-letters`."""
    topic: HeaderValue | None = None
    """A topic instead of the folder."""


class HttpSettings(Section):
    """Health and metrics."""

    listen: Listen | None = "127.0.0.1:8080"
    """host:port; None: off."""


class LoggingSettings(Section):
    """The log on stderr."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class EndpointConfig(Section):
    """The file as `sync serve` takes it: what a bridge delivers, and whither, may be missing."""

    kafka: KafkaSettings
    schema_registry: RegistrySettings | None = None
    spool: SpoolSettings = SpoolSettings()
    window: WindowSettings = WindowSettings()
    roll: RollSettings = RollSettings()
    accounts: tuple[Account, ...] = ()
    streams: tuple[Stream, ...] = ()
    dead_letters: DeadLetterSettings
    user_sync: UserSyncSettings | None = None
    http: HttpSettings = HttpSettings()
    logging: LoggingSettings = LoggingSettings()

    @field_validator("dead_letters", mode="before")
    @classmethod
    def _beside_the_runs(cls, value: object, info: ValidationInfo) -> object:
        """Without a directory, dead letters lie in the spool's."""
        spool = info.data.get("spool")  # absent where it has faults of its own
        if not isinstance(value, dict) or value.get("directory") is not None:
            return value
        folder = spool.directory if isinstance(spool, SpoolSettings) else Path()
        return {**value, "directory": folder / "dead-letters"}


class Config(EndpointConfig):
    """The whole file, as every other command takes it."""

    accounts: Annotated[tuple[Account, ...], AT_LEAST_ONE]
    streams: Annotated[tuple[Stream, ...], AT_LEAST_ONE]

    def account(self, name: str) -> Account:
        """The account of this name, which a loaded stream's always is; KeyError."""
        return {account.name: account for account in self.accounts}[name]
