"""The catalogue on the disk: one JSON file, which is replaced as a whole."""

import json
import os
from pathlib import Path

from bridge.errors import BridgeError
from bridge.sandbox.taxonomies.bodies import RULES
from bridge.sandbox.taxonomies.catalogue import Catalogue, HeldTaxonomy
from bridge.taxonomy import Form, Taxonomy, read_bytes
from bridge.taxonomy.render import document


class Store:
    """One file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Catalogue:
        """What was written last; nothing is held where nothing was written yet.

        Raises:
            BridgeError: It is damaged, or cannot be read.
        """
        try:
            state = json.loads(self._path.read_bytes())
            held = tuple(self._one(fields) for fields in state["taxonomies"])
            return Catalogue(held=held, next_node=int(state["next_node"]))
        except FileNotFoundError:
            return Catalogue()
        except OSError as error:
            raise BridgeError(f"{self._path} cannot be read ({error.strerror}): correct that") from error
        except (ValueError, TypeError, KeyError) as error:
            raise BridgeError(f"{self._path} is damaged: begin again in a new --directory") from error

    def write(self, catalogue: Catalogue) -> None:
        """It is on the disk when this returns.

        Raises:
            BridgeError: It cannot be written; what was there still is.
        """
        taxonomies = [
            {"created_at": one.created_at, "updated_at": one.updated_at, "document": document(one.taxonomy)}
            for one in catalogue.held
        ]
        content = json.dumps({"next_node": catalogue.next_node, "taxonomies": taxonomies}).encode()
        try:
            _replace(self._path, content)
        except OSError as error:
            raise BridgeError(f"{self._path} cannot be written ({error.strerror}): make room") from error

    def _one(self, fields: dict[str, object]) -> HeldTaxonomy:
        return HeldTaxonomy(
            taxonomy=self._taxonomy(fields["document"]),
            created_at=_instant(fields["created_at"]),
            updated_at=_instant(fields["updated_at"]),
        )

    def _taxonomy(self, kept: object) -> Taxonomy:
        taxonomy = read_bytes(json.dumps(kept).encode(), str(self._path), Form.JSON, RULES).taxonomy
        if taxonomy is None or taxonomy.taxonomy_id is None:
            raise ValueError(kept)
        return taxonomy


def _instant(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
