"""`s2s-bridge sync serve`, `sync tag` and `sync tag check`: user sync (docs/user-sync.md)."""

import os
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from bridge.cli.options import ConfigFile
from bridge.cli.run import stopped_by_signals
from bridge.clock import SystemClock
from bridge.config import load_endpoint
from bridge.errors import UsageError
from bridge.observe import log
from bridge.sync import tag as tags
from bridge.sync.tag import HOST, Kind, Tag
from bridge.sync.tag_check import check as check_tag

FAULTY = 1

Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="URL", help="Where the platform is to send browsers, as https://..."),
]
Host = Annotated[
    str | None,
    typer.Option("--host", metavar="HOST", help="The platform's, as it has told you.", show_default=HOST),
]
KindOption = Annotated[
    Kind, typer.Option("--kind", help="A script, which is preferred, or an image for pages without scripts.")
]
Exid = Annotated[
    str | None,
    typer.Option("--exid", metavar="ID", help="Your number at the platform (mt_exid); an image needs it."),
]
Hidden = Annotated[bool, typer.Option("--hidden", help="Let it take no room on the page.")]

app = typer.Typer(no_args_is_help=True, help="User sync: the platform's ids for your own.")
tag_app = typer.Typer(invoke_without_command=True, help="Print the sync tag for your pages.")
app.add_typer(tag_app, name="tag")


@app.command("serve")
def serve(config: ConfigFile) -> None:
    """Answer browsers that the platform sends, until stopped."""
    # The server's libraries are loaded by those who listen, and not by every other command.
    from bridge.service.syncing import SyncService  # noqa: PLC0415

    settings = load_endpoint(Path(config), os.environ)
    clock = SystemClock()
    log.configure(form=settings.logging.format, level=settings.logging.level, clock=clock)
    SyncService(settings, clock).run(stopped_by_signals())


@tag_app.callback()
def tag(
    context: typer.Context,
    *,
    endpoint: Endpoint = None,
    host: Host = None,
    kind: KindOption = Kind.JS,
    exid: Exid = None,
    hidden: Hidden = False,
) -> None:
    """Print the sync tag for your pages."""
    if context.invoked_subcommand is not None:
        return
    if endpoint is None:
        raise UsageError("sync tag needs --endpoint URL, where the platform is to send browsers")
    if (kind is Kind.IMAGE) != (exid is not None):
        raise UsageError("--exid and --kind image go together: an image needs your number at the platform")
    _see_that_it_is_safe(endpoint)
    print(
        tags.render(
            Tag(
                kind=kind,
                host=host or HOST,
                endpoint=tags.with_macros(endpoint),
                exid=exid,
                hidden=hidden,
            )
        )
    )


@tag_app.command("check")
def check(
    text: Annotated[str, typer.Argument(metavar="TAG", help="The tag's HTML, in quotes.")], host: Host = None
) -> None:
    """Say what is wrong with a tag, a line each."""
    findings = check_tag(text, host)
    for fault in findings.faults:
        print(fault, file=sys.stderr)
    if findings.faults:
        raise typer.Exit(FAULTY)
    assert findings.tag is not None
    print(f"the tag is good: browsers come to {findings.tag.endpoint}")


def _see_that_it_is_safe(endpoint: str) -> None:
    try:
        url = urlsplit(endpoint)
    except ValueError:
        url = urlsplit("")
    here = url.scheme == "http" and tags.is_here(url.netloc)
    if not url.hostname or not (url.scheme == "https" or here):
        raise UsageError(
            "--endpoint is no https URL: pages and cookies need https; write https://, host and path "
            "(or http:// of this machine)"
        )
    if url.fragment:
        raise UsageError("--endpoint has a fragment, which no browser sends: leave out # and what follows it")
