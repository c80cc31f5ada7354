"""The configuration of a simulated world."""

from pathlib import Path

from bridge.config import Config
from tests.simulation.plan import ACCOUNTS, TOPICS, Plan


def configuration(plan: Plan, spool: Path) -> Config:
    """What its operator wrote; limits below what a file may ask for, as small worlds need small ones."""
    config = Config.model_validate(
        {
            "kafka": {"bootstrap_servers": "simulated"},
            "spool": {"directory": str(spool), "max_bytes": plan.max_bytes},
            "window": {"max_age": f"{plan.window_age}ms"},
            "roll": {"max_age": f"{plan.roll_age}ms"},
            "accounts": [
                {
                    "name": name,
                    "agency": "Agency",
                    "partner": f"Partner-{name}",
                    "sftp": {"host": "simulated", "username": name, "password_file": "/nowhere"},
                    "quota": {"files_per_hour": plan.files_per_hour, "guard": f"{plan.guard}ms"},
                }
                for name in ACCOUNTS
            ],
            "streams": [
                {
                    "name": topic,
                    "topics": [topic],
                    "account": {"display": "a", "mobile": "b"},
                    "client": client,
                    "clients": ["Other"] if topic == "acme" else [],
                    "format": "json",
                    "segment_namespace": "ep",
                }
                for topic, client in TOPICS.items()
            ],
            "dead_letters": {"directory": str(spool / "dead-letters")},
        },
        context={"folder": spool},
    )
    limits = {"bytes_per_day": plan.bytes_per_day, "max_file_bytes": plan.max_file_bytes}
    accounts = tuple(
        one.model_copy(update={"quota": one.quota.model_copy(update=limits)}) for one in config.accounts
    )
    return config.model_copy(update={"accounts": accounts})
