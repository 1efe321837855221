"""One rule a file; see `lab_migrate.convert.rule`."""
