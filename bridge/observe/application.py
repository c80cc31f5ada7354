"""The pages as an application: each path is one page, made in a thread of its own."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.observe.page_thread import PageThread, refusal


def application(pages: Mapping[str, PageThread]) -> Starlette:
    """Answers GET and HEAD of the paths, and nothing else."""
    one = Starlette(
        routes=[Route(path, page.answer, methods=["GET"]) for path, page in pages.items()],
        exception_handlers={HTTPException: _refused},
    )
    one.router.redirect_slashes = False  # what is no page by its very name is none
    return one


async def _refused(_: Request, error: Exception) -> Response:
    return refusal(HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500))
