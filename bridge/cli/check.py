"""`s2s-bridge check`: every fault of the configuration, a line each with its path."""

import os

from bridge.cli.options import ConfigFile
from bridge.config import Config, ConfigurationError, load, secret_faults


def check(config: ConfigFile) -> None:
    """Name every fault of the configuration, a line each with its path."""
    loaded = load(config, os.environ)
    faults = secret_faults(loaded)
    if faults:
        raise ConfigurationError(str(config), faults)
    print(summary(loaded))


def summary(config: Config) -> str:
    """What is good, in one line."""
    return (
        f"configuration is good: {_counted(config.accounts, 'account')}, {_counted(config.streams, 'stream')}"
    )


def _counted(things: tuple[object, ...], name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"
