"""`python -m helm`: makes values.schema.json, and the table in README.md, anew."""

from helm import values_schema, values_table

(values_schema.CHART / "values.schema.json").write_text(values_schema.written())
values_table.write(values_schema.CHART)
