"""What a user may write (contract.md, Configuration).

    file ─▶ document ─▶ model ─▶ Config
              │           │  rules
              └──── faults ────┘

`document` reads YAML and fills in `${NAME}`, `model` says what each key may be, `rules` what keys must be
together; `load` gathers every fault of all three, `load_endpoint` as well, for `sync serve`, which delivers
nothing. `secret` reads the files that the configuration names.
"""

from bridge.config.fault import ConfigurationError
from bridge.config.load import load, load_endpoint
from bridge.config.model import (
    Account,
    Config,
    DeadLetterSettings,
    EndpointConfig,
    HttpSettings,
    InventoryAccounts,
    KafkaSettings,
    LoggingSettings,
    QuotaSettings,
    RegistrySettings,
    RollSettings,
    SftpSettings,
    SpoolSettings,
    Stream,
    WindowSettings,
)
from bridge.config.platform import (
    AudienceSegmentsSettings,
    PlatformSettings,
    ProcessingLogSettings,
    SegmentsAuth,
)
from bridge.config.secret import Secret, read_secret, secret_faults, secret_warnings
from bridge.config.user_sync import UserSyncSettings

__all__ = [
    "Account",
    "AudienceSegmentsSettings",
    "Config",
    "ConfigurationError",
    "DeadLetterSettings",
    "EndpointConfig",
    "HttpSettings",
    "InventoryAccounts",
    "KafkaSettings",
    "LoggingSettings",
    "PlatformSettings",
    "ProcessingLogSettings",
    "QuotaSettings",
    "RegistrySettings",
    "RollSettings",
    "Secret",
    "SegmentsAuth",
    "SftpSettings",
    "SpoolSettings",
    "Stream",
    "UserSyncSettings",
    "WindowSettings",
    "load",
    "load_endpoint",
    "read_secret",
    "secret_faults",
    "secret_warnings",
]
