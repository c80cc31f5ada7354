"""Clients of the platform's HTTP APIs: the processing log, and audience segments (design.md, The house).

`api` makes a call and says what is known when it fails; each API's client says what to ask and what the
answer means.

| module | of the Audience Segments API |
|---|---|
| log_in | who asks: tokens and the session cookie |
| segments | the five calls, and what their answers mean |
| plan | what applying a file would change, and why it should not be |
| applying | posting it once, and saying what is known |
"""
