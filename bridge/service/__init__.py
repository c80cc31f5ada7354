"""Wires the parts: what is opened in which order, which thread does what, and how all come to an end.

opening: spool, locks, ledger ─▶ wiring: the parts, from the configuration ─▶ service: threads, deliveries
                                               housekeeping: merge, retire, pause (pressure, replays.upkeep)
replays: into the spool, and delivered by the running bridge, or by deliveries of their own
telling ─▶ page: what there is to see
syncing: the user sync, a process of its own
"""
