"""What the operator sees: the log, the metrics, and whether the process is well."""
