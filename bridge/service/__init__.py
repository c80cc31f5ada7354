"""Wires the parts: what is opened in which order, which thread does what, and how all come to an end.

opening: spool, locks, ledger ─▶ wiring: the parts, from the configuration ─▶ service: threads, deliveries
                                               housekeeping: merge, retire, pause (pressure, replay_upkeep)
replaying, redriving: into the spool ─▶ replay_delivery: by the running bridge, or by deliveries of its own
"""
