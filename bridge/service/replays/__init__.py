"""Replays, from what somebody asks for to the last file.

replaying: topics, archives ─┐
redriving: dead letters ─────┴▶ runs of its own ─▶ translation ─▶ delivery: by the running bridge, or alone
                                                   upkeep: one that is through is history like any other
rehearsal: what would be sent, and nothing is
"""
