"""From the spool to the platform, within the quota.

schedule ─▶ gathering ─▶ build ─▶ sftp
 quota       pending rows,  one gzip,  temporary name,
 (pure)      less the late  capped     then renamed
    └────────── ledger: frontiers, files, attempts ─┘
"""
