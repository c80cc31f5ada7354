"""The schemas that the product publishes: in a wheel beside the code, in a checkout in schemas/."""

from importlib.resources import files
from pathlib import Path

import bridge


def schema_text(name: str) -> str:
    """The text of a schema by its file's name, such as `user_sync.avsc`."""
    packed = files(bridge) / "schemas" / name
    loose = Path(bridge.__file__).parents[1] / "schemas" / name
    return (packed if packed.is_file() else loose).read_text(encoding="utf-8")
