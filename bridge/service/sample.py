"""The sample file that the platform asks for before it lets a partner in (contract.md, `file sample`).

It is made of a topic's newest events as a delivery would be, by the same decoder, rules and writer, and then
checked. Nothing of it is in the ledger: its name is not reserved, no slot is spent.
"""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from bridge.audience import audience_file
from bridge.audience.audience import Audience
from bridge.audience.header import Header
from bridge.audience.lines import Lines, render
from bridge.audience.merge import latest
from bridge.audience.names import FileName, next_stamp, parse
from bridge.clock import SECOND
from bridge.config import Account, Config, Stream
from bridge.deliver.capped_gzip import CappedGzip
from bridge.errors import BridgeError, UsageError
from bridge.ingest.topics import Topics
from bridge.service.accepted import accept
from bridge.service.newest import Reader
from bridge.service.outside import Outside


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A sample file, checked."""

    name: str
    """Its FileIdentifier: the name that it is to have at the platform."""
    audience: Audience
    """Whose memberships it holds."""
    data: bytes
    """The gzip file."""
    users: int
    """Users in it."""
    lines: int
    """Lines of users in it."""
    memberships: int
    """Memberships in it."""
    events: int
    """Events that were read, tombstones and refused ones among them."""
    refused: Mapping[str, int]
    """How many events were refused, by reason."""
    others: Mapping[Audience, int]
    """Memberships of the other audiences that came, the most first."""


def sample(config: Config, outside: Outside, name: str, events: int, wanted: str | None) -> Sample:
    """A sample of a stream's newest events: of the audience that has the most memberships in them.

    Args:
        config: The configuration.
        outside: What is outside.
        name: Of the stream.
        events: How many of the newest to read.
        wanted: Name of the file to be written; taken over as FileIdentifier if it is one's of the audience.

    Raises:
        UsageError: There is no such stream, `wanted` is the name of another series, or all that came is by
            a partner's ids (`identify`).
        BridgeError: Kafka or the registry failed, or no event was accepted.
    """
    stream = _stream(config, name)
    with Reader(config.kafka, Topics(config.streams), outside.topic_ids, outside.clock) as reader:
        newest = reader.newest(stream, events)
    if not newest.messages:
        raise BridgeError(f"stream {name}: its topics hold no event: produce some, then come again")
    now = outside.clock.now()
    taken = accept(config, stream, newest, outside)
    if not taken.rows:
        raise BridgeError(
            f"stream {name}: none of its {len(newest.messages)} newest events was accepted"
            f"{_because(taken.refused)}: see contract and schema, or read more with --events"
        )
    resolved = {audience: rows for audience, rows in taken.rows.items() if not audience.unresolved}
    if not resolved:
        raise UsageError(
            f"stream {name}: its newest events carry a partner's ids, which a running bridge alone "
            f"translates: name another stream, or deliver some to s2s-bridge sandbox and take that file"
        )
    merged = {audience: latest(audience, rows) for audience, rows in resolved.items()}
    sizes = Counter({audience: len(rows) for audience, rows in merged.items()})
    audience = min(sizes, key=lambda one: (-sizes[one], one))
    account = config.account(audience.account)
    header = _header(audience, _name(account, audience, wanted, now), now)
    lines = render(audience, merged[audience], str(stream.placeholder_segment))
    data, lines = _packed(header, lines, account.quota.max_file_bytes, config.roll.compression_level)
    _check(data, header.file_identifier)
    return Sample(
        name=header.file_identifier,
        audience=audience,
        data=data,
        users=_users(lines),
        lines=lines.text.count(b"\n"),
        memberships=lines.memberships,
        events=len(newest.messages),
        refused=dict(taken.refused.most_common()),
        others={one: size for one, size in sizes.most_common() if one != audience},
    )


def _stream(config: Config, name: str) -> Stream:
    for stream in config.streams:
        if stream.name == name:
            return stream
    known = ", ".join(stream.name for stream in config.streams)
    raise UsageError(f"--stream {name}: there is no such stream; the configuration has {known}")


def _because(refused: Counter[str]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in refused.most_common())
    return f" (refused: {reasons})" if reasons else ""


def _name(account: Account, audience: Audience, wanted: str | None, now: int) -> str:
    """The name of the next file, had nothing ever been delivered; or the wanted one, if it is a name."""
    own = FileName(
        agency=account.agency, partner=account.partner, client=audience.client, stamp=next_stamp(None, now)
    )
    try:
        other = parse(wanted or "")
    except ValueError:
        return str(own)
    if other.series != own.series:
        raise UsageError(
            f"--output {wanted}: the events are of {own.series}, and a file's name says whose it is; take "
            f"{own}, or a name that is no audience file's"
        )
    return str(other)


def _header(audience: Audience, name: str, now: int) -> Header:
    return Header(
        file_identifier=name,
        date_created=now // SECOND,
        user_namespace=audience.user_namespace,
        user_table_id=audience.user_table_id,
        segment_namespace=audience.segment_namespace,
        mobile=audience.mobile,
        hash_segments=audience.hashed,
    )


def _packed(header: Header, lines: Lines, limit: int, level: int) -> tuple[bytes, Lines]:
    """The gzip file, and what is in it: whole users from the start, up to the account's largest file."""
    file = io.BytesIO()
    member = CappedGzip(file, limit=limit, level=level)
    member.write(header.render())
    lines, _ = lines.cut(member.room(len(lines.text)))
    member.write(lines.text)
    member.close()
    return file.getvalue(), lines


def _users(lines: Lines) -> int:
    """A further line of a long user repeats the id."""
    return len({line.split(b" ", 1)[0] for line in lines.text.splitlines()})


def _check(data: bytes, name: str) -> None:
    """What fails here would fail at the platform."""
    faults: Sequence[audience_file.Fault] = list(islice(audience_file.check([data], name), 1))
    if faults:
        raise BridgeError(
            f"the sample breaks the format in line {faults[0].line} ({faults[0].reason}): nothing was "
            f"written; please report it"
        )
