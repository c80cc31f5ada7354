"""Which host keys of an SFTP server are accepted: pinned ones, and no others.

A key is compared by its bytes. The type in them is that of the key, not of the signature: a pinned `ssh-rsa`
key is right for a server that signs with rsa-sha2 alone.
"""

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

SSH_PORT = 22

SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Type of a key to the algorithms that may prove it; SHA-1 is not among them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedKeys:
    """What is known of one server's host keys."""

    accepted: frozenset[bytes]
    """Public keys in SSH's wire format; empty: the server is not known."""
    revoked: frozenset[bytes] = frozenset()
    """Never accepted, even where listed as accepted too."""

    def accepts(self, key: bytes) -> bool:
        """The server may show this key."""
        return key in self.accepted and key not in self.revoked

    @property
    def algorithms(self) -> tuple[str, ...]:
        """All host key algorithms that may be offered: those of the accepted keys first.

        The others follow so that a server whose key was replaced by one of another type is told as such.
        """
        pinned = {_key_type(key) for key in self.accepted}
        order = sorted(SIGNATURES, key=lambda kind: kind not in pinned)
        return tuple(name for kind in order for name in SIGNATURES[kind])


def fingerprint(key: bytes) -> str:
    """A key's fingerprint as `ssh-keygen -l` writes it: type and SHA256."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).rstrip(b"=").decode("ascii")
    return f"{_key_type(key)} SHA256:{digest}"


def from_text(text: str) -> PinnedKeys:
    """Keys of lines like `ssh-ed25519 AAAA... comment`; a line that holds none is left out."""
    keys = (_decode(line.split()) for line in text.splitlines())
    return PinnedKeys(accepted=frozenset(key for key in keys if key is not None))


def from_known_hosts(lines: Iterable[str], host: str, port: int) -> PinnedKeys:
    """Keys of `host` in the lines of an OpenSSH known_hosts file.

    As ssh does, a port other than 22 is looked up as `[host]:port`, and as plain `host` where that finds
    nothing.
    Certificate authorities are not supported and left out.
    """
    entries = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    name = host.lower()
    if port == SSH_PORT:
        return _keys_of(entries, name)
    exact = _keys_of(entries, f"[{name}]:{port}")
    plain = _keys_of(entries, name)
    return PinnedKeys(accepted=exact.accepted or plain.accepted, revoked=exact.revoked | plain.revoked)


def _keys_of(entries: list[list[str]], name: str) -> PinnedKeys:
    keys: dict[str, set[bytes]] = {"": set(), "@revoked": set(), "@cert-authority": set()}
    for fields in entries:
        marker, rest = (fields[0], fields[1:]) if fields[0].startswith("@") else ("", fields)
        key = _decode(rest[1:])
        if marker in keys and key is not None and _names(rest[0], name):
            keys[marker].add(key)
    return PinnedKeys(accepted=frozenset(keys[""]), revoked=frozenset(keys["@revoked"]))


def _names(patterns: str, name: str) -> bool:
    """A known_hosts line's first field stands for `name`; a negated pattern excludes the line."""
    matched = False
    for pattern in patterns.split(","):
        if pattern.startswith("!"):
            if _matches(pattern[1:], name):
                return False
        elif _matches(pattern, name):
            matched = True
    return matched


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _matches_hash(pattern, name)
    regex = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, name) is not None


def _matches_hash(pattern: str, name: str) -> bool:
    """`|1|salt|HMAC-SHA1 of the name`, as `HashKnownHosts` writes it."""
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)


def _decode(fields: list[str]) -> bytes | None:
    """The key of `type base64 ...`; None where it is none of a type that we can check."""
    if len(fields) < 2 or fields[0] not in SIGNATURES:  # noqa: PLR2004  # type and key
        return None
    try:
        key = base64.b64decode(fields[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if _key_type(key) == fields[0] else None


def _key_type(key: bytes) -> str:
    """The first string of a key's wire format; empty where it is cut short."""
    if len(key) < struct.calcsize(">I"):
        return ""
    (length,) = struct.unpack_from(">I", key)
    return key[4 : 4 + length].decode("ascii", "replace")
