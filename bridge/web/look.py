"""How the pages for people look: one style, and macros for what each of them has (`macros.html`)."""

from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

MARKS = {"well": "✓", "look": "▲", "ill": "✖", "plain": "•"}
"""Beside a colour, for who does not see it."""


def environment(package: str) -> Environment:
    """Templates of a package, which may import the macros and have `style` and `marks`.

    Every text is escaped; a name that a template misspells is an error.
    """
    packages = (package, "bridge.web")
    one = Environment(
        loader=ChoiceLoader([PackageLoader(name, package_path="") for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("bridge.web").joinpath("page.css").read_text(encoding="utf-8")
    one.globals.update(
        style=Markup(style),  # noqa: S704  # ours, as it lies in the package
        marks=MARKS,
    )
    return one
