"""The Audience Segments API of the stand-in (seed audience_segments_api, Operations).

    request ─▶ api ─▶ bodies ─▶ catalogue ─▶ store
               │ login, pace    │ what a creation or an update makes of what is held: pure
               answer ◀─ told ◀─┘

A taxonomy is `bridge.taxonomy`'s, with its rules; what only the platform knows (ids, times, grants) is added
here.
"""
