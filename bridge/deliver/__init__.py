"""From the spool to the platform, within the quota.

schedule ─▶ lanes ─▶ gathering ─▶ build ─▶ sftp
 quota       live, or  pending rows,  one gzip,  temporary name,
 (pure)      a replay  less the late  capped     then renamed
    └────────── ledger: frontiers, files, attempts ─┘
"""
