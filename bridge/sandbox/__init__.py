"""A stand-in for the platform: for tests, demos, and bridges that may not talk to the real one yet.

    SFTP ─▶ sftp_server ─▶ arrival ─▶ processing ─▶ loader ─▶ platform's state
                                         │                        │
                                      journal ──▶ log_api       page

    HTTP ─▶ login ─▶ taxonomies/ ─▶ what is held of them ─▶ page
         └▶ sync_domain ─▶ browsers ─────────────────────▶ page

What the seeds say holds; what they leave open is decided here; each such decision stands in
`assumptions`, which the page and docs/sandbox.md list.
"""
