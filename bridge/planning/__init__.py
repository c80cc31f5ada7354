"""planning/: whether what the topics bring fits into what the accounts allow, told before it is deployed.

`demand` is what comes: given, or told by `topic_demand` or `history_demand`; `cycle` how one account serves
it; `plan` puts these together, and `verdict` into words. It reads, and never uploads.
"""
