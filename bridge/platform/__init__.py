"""Clients of the platform's HTTP APIs: the processing log, and audience segments (design.md, The house).

`api` makes a call and says what is known when it fails; each API's client says what to ask and what the
answer means.
"""
