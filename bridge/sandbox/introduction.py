"""What a person reads when a sandbox has started: where it is, and how a bridge is pointed at it."""

import yaml

from bridge.sandbox.login import SESSION_PATH, TOKEN_PATH
from bridge.sandbox.settings import Address, Settings
from bridge.sandbox.site import CLIENT_ID, SandboxSite
from bridge.sandbox.taxonomies.settings import Needs

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here
"""Addresses that nobody can connect to, and what stands for them on this machine."""

ACCOUNT = "sandbox"

_SENT = {Needs.BEARER: "bearer", Needs.COOKIE: "session", Needs.BOTH: "both"}
"""What a call must bring, as a bridge's configuration says it."""


def introduction(
    settings: Settings, site: SandboxSite, *, sftp: Address, http: Address, host_key: str
) -> str:
    """Addresses, where the credentials lie, and a configuration's `accounts`, ready to be pasted."""
    server, page = _reachable(sftp), _reachable(http)
    account = {
        "name": ACCOUNT,
        "agency": "Agency",
        "partner": "Partner",
        "sftp": {
            "host": server.host,
            "port": server.port,
            "username": settings.username,
            "password_file": str(site.password_file),
            "host_key": host_key,
        },
        "platform": {
            "processing_log": {"url": f"http://{page}", "path": settings.log_path},
            "audience_segments": _segments(settings, site, f"http://{page}"),
        },
        "quota": {
            "files_per_hour": settings.limits.files_per_hour,
            "bytes_per_day": settings.limits.bytes_per_day,
            "max_file_bytes": settings.limits.bytes_per_file,
        },
    }
    snippet = yaml.safe_dump({"accounts": [account]}, sort_keys=False, width=1_000)
    calls = f"{settings.segments.base_path}/audience_segments"
    return (
        f"Page               http://{page}/\n"
        f"Processing log     http://{page}{settings.log_path}\n"
        f"SFTP               {server}\n"
        f"Audience segments  http://{page}{calls}, vendor {settings.segments.vendor.id}\n"
        f"  its tokens       http://{page}{TOKEN_PATH}, client {CLIENT_ID}, "
        f"secret in {site.client_secret_file}\n"
        f"  its sessions     http://{page}{SESSION_PATH}\n"
        f"Sync domain        http://{page}/sync/, to try tags of s2s-bridge sync tag --host {page}\n"
        f"User               {settings.username}, password in {site.password_file}\n\n"
        f"In the configuration of a bridge (its streams then say `account: {ACCOUNT}`):\n\n{snippet}\n"
        "Runs until it is stopped (Ctrl-C)."
    )


def _segments(settings: Settings, site: SandboxSite, page: str) -> dict[str, object]:
    """The Audience Segments API, and the log-in that it wants."""
    return {
        "url": f"{page}{settings.segments.base_path}",
        "vendor_id": settings.segments.vendor.id,
        "auth": {
            "send": _SENT[settings.segments.needs],
            "token_url": f"{page}{TOKEN_PATH}",
            "username": settings.username,
            "password_file": str(site.password_file),
            "client_id": CLIENT_ID,
            "client_secret_file": str(site.client_secret_file),
            "session_url": f"{page}{SESSION_PATH}",
        },
    }


def _reachable(address: Address) -> Address:
    return Address(host=ANYWHERE.get(address.host, address.host), port=address.port)
