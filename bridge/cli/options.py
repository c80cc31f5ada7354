"""Options that several verbs take."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path, typer.Option("--config", metavar="F", help="The configuration, a YAML file.", show_default=False)
]
"""`--config F`, required."""
