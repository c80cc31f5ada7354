"""Wires the parts: what is opened in which order, which thread does what, and how all come to an end.

opening: spool, locks, ledger ─▶ wiring: the parts, from the configuration ─▶ service: threads
                                               housekeeping: merge, retire, pause (pressure)
"""
