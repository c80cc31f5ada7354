"""The whole way with nothing outside: what the bridge talks to, in the process.

    events ─▶ broker ─▶ (the bridge as it is) ─▶ sftp_server ─▶ files

Nothing in the core knows that it is a demo: it meets real protocols on loopback, and an accelerated clock.
"""
