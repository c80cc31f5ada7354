"""s2s-bridge: segment memberships from Kafka to server-to-server import files on SFTP.

    Kafka ─▶ ingest ─▶ spool ─▶ deliver ─▶ SFTP

`audience` holds the rules, `ingest` reads and refuses, `spool` keeps, `deliver` merges, rolls and uploads,
`observe` tells, `cli` is the outside, `service` wires the parts.
"""
