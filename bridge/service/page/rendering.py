"""From the page's records to HTML. Every text is escaped; a name that the template misspells is an error."""

import base64
import hashlib
from functools import cache
from importlib import resources
from urllib.parse import quote

from jinja2 import Template
from markupsafe import Markup

from bridge.service.page.chart import HEIGHT, WIDTH
from bridge.service.page.records import View
from bridge.units import format_size
from bridge.web.look import MARKS, environment

_COLOURS = {"well": "0b8f55", "look": "d98200", "ill": "d92d20"}
"""Of the page's icon."""


def rendered(view: View) -> bytes:
    """The page."""
    return _template().render(view=view).encode()


def script_hash() -> str:
    """How a Content-Security-Policy names the page's script: nothing else may run."""
    digest = hashlib.sha256(_text("page.js").encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _template() -> Template:
    one = environment("bridge.service.page")
    one.globals.update(
        script=Markup(_text("page.js")),  # noqa: S704  # ours, as it lies in the package
        icons={tone: _icon(colour, MARKS[tone]) for tone, colour in _COLOURS.items()},
        size=(WIDTH, HEIGHT),
    )
    one.filters["bytes"] = format_size
    return one.get_template("page.html")


def _icon(colour: str, mark: str) -> str:
    """The mark on a disc, as the address of a picture."""
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" '
        f'fill="#{colour}"/><text x="16" y="23" font-size="20" text-anchor="middle" fill="#fff">{mark}</text>'
        "</svg>"
    )
    return quote(drawn)


def _text(name: str) -> str:
    return resources.files("bridge.service.page").joinpath(name).read_text(encoding="utf-8")
