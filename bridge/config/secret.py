"""The files that hold secrets. They are read anew at each log-in, so that a rotated one is taken up."""

from collections.abc import Iterator
from pathlib import Path

from bridge.config.fault import Fault
from bridge.config.model import Config
from bridge.errors import BridgeError


def read_secret(path: Path) -> str:
    """The file's text without one newline at its end; BridgeError names the file, never its content."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise BridgeError(
            f"cannot read {path}: {error.strerror}; see that it is there and readable"
        ) from None
    except UnicodeDecodeError:
        raise BridgeError(f"{path} is no UTF-8 text; write it as text") from None
    secret = text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
    if not secret:
        raise BridgeError(f"{path} is empty; write its content")
    return secret


def secret_faults(config: Config) -> tuple[str, ...]:
    """A line for each file of the configuration that cannot be read, under its key's path."""
    found: list[str] = []
    for fault_path, file in _files(config):
        try:
            read_secret(file)
        except BridgeError as error:
            found.append(str(Fault(fault_path, str(error))))
    return tuple(found)


def _files(config: Config) -> Iterator[tuple[tuple[str | int, ...], Path]]:
    for name, file in config.kafka.secret_properties.items():
        yield ("kafka", "secret_properties", name), file
    if config.schema_registry is not None and config.schema_registry.password_file is not None:
        yield ("schema_registry", "password_file"), config.schema_registry.password_file
    for at, account in enumerate(config.accounts):
        for key in ("password_file", "private_key_file", "known_hosts_file"):
            file = getattr(account.sftp, key)
            if file is not None:
                yield ("accounts", at, "sftp", key), file
