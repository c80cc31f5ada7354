"""From the file to the configuration, or to every fault it has."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bridge.config import rules, wording
from bridge.config.document import Document, Place, read
from bridge.config.fault import ConfigurationError, Fault, Location
from bridge.config.model import Config, EndpointConfig, Stream

LARGEST = 1_000_000
"""Bytes of a configuration file: thousands of streams."""

_Form = TypeVar("_Form", bound=EndpointConfig)


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in a file; ConfigurationError lists every fault, in the file's order.

    Relative paths in it start at the file's folder. Secret files are not looked at: see `secret_faults`.
    """
    return _load(path, environ, Config)


def load_endpoint(path: Path, environ: Mapping[str, str]) -> EndpointConfig:
    """As `load`, of a file that need not have accounts and streams; those that it has are judged alike."""
    return _load(path, environ, EndpointConfig)


def _load(path: Path, environ: Mapping[str, str], form: type[_Form]) -> _Form:
    document = read(_text(path), environ)
    if () in {fault.path for fault in document.faults}:
        raise ConfigurationError(str(path), map(str, document.faults))
    folder = path.absolute().parent
    config, refused = _model(document, folder, form)
    root = Place(document.root)
    broken = [*refused, *rules.faults(root, folder), *rules.of_audiences(_sound_streams(root, folder))]
    faults = [*document.faults, *_beyond(broken, {fault.path for fault in document.faults})]
    if faults or config is None:
        faults.sort(key=lambda fault: document.position(fault.path))
        raise ConfigurationError(str(path), dict.fromkeys(map(str, faults)))
    return config


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) <= LARGEST:
            return content.decode("utf-8")
        what = f"{path} is larger than {LARGEST:,} bytes, which no configuration is; name the right file"
    except OSError as error:
        what = f"cannot read {path}: {error.strerror}; name a file that is there with --config"
    except UnicodeDecodeError:
        what = f"{path} is no UTF-8 text; save it as UTF-8"
    raise ConfigurationError(str(path), [str(Fault((), what))])


def _model(document: Document, folder: Path, form: type[_Form]) -> tuple[_Form | None, list[Fault]]:
    try:
        return form.model_validate(document.root, context={"folder": folder}), []
    except ValidationError as error:
        return None, list(wording.faults(error))


def _sound_streams(root: Place, folder: Path) -> dict[int, Stream]:
    """The streams without faults of their own, by position: they may still disagree with each other."""
    streams: dict[int, Stream] = {}
    for at, place in enumerate(root["streams"]):
        try:
            streams[at] = Stream.model_validate(place.value, context={"folder": folder})
        except ValidationError:
            continue
    return streams


def _beyond(broken: list[Fault], known: set[Location]) -> Iterator[Fault]:
    """The faults that do not merely follow from the document's own, as a variable that is not set."""
    return (fault for fault in broken if not any(fault.path[: len(path)] == path for path in known))
