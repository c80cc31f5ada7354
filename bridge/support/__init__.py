"""support/: what the platform has no call for and takes by mail (seed audience_segments_api). Pure: no I/O.

mapping ─▶ request ─▶ message (bytes of an .eml)      address: who writes to whom
             │ asks
             ▼
           memory: what was asked already; what is not new is not asked again
"""
