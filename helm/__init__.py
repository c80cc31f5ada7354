"""What of the Helm chart is made from the product: its schema of values, and its table of values.

    bridge.config.model ─▶ values_schema ─▶ s2s-bridge/values.schema.json
    s2s-bridge/values.yaml ─▶ values_table ─▶ s2s-bridge/README.md

`make chart-schema` makes both anew; tests/deployment says whether they are current.
"""
