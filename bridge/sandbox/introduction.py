"""What a person reads when a sandbox has started: where it is, and how a bridge is pointed at it."""

from pathlib import Path

import yaml

from bridge.sandbox.settings import Address, Settings

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here
"""Addresses that nobody can connect to, and what stands for them on this machine."""

ACCOUNT = "sandbox"


def introduction(
    settings: Settings, *, sftp: Address, http: Address, host_key: str, password_file: Path
) -> str:
    """Addresses, and a configuration's `accounts`, ready to be pasted."""
    host = ANYWHERE.get(sftp.host, sftp.host)
    page = Address(host=ANYWHERE.get(http.host, http.host), port=http.port)
    account = {
        "name": ACCOUNT,
        "agency": "Agency",
        "partner": "Partner",
        "sftp": {
            "host": host,
            "port": sftp.port,
            "username": settings.username,
            "password_file": str(password_file),
            "host_key": host_key,
        },
        "quota": {
            "files_per_hour": settings.limits.files_per_hour,
            "bytes_per_day": settings.limits.bytes_per_day,
            "max_file_bytes": settings.limits.bytes_per_file,
        },
    }
    snippet = yaml.safe_dump({"accounts": [account]}, sort_keys=False, width=1_000)
    return (
        f"Page            http://{page}/\n"
        f"Processing log  http://{page}{settings.log_path}\n"
        f"SFTP            {host}:{sftp.port}\n\n"
        f"In the configuration of a bridge (its streams then say `account: {ACCOUNT}`):\n\n{snippet}\n"
        "Runs until it is stopped (Ctrl-C)."
    )
