"""One role a file; see `lab_migrate.scan.role`."""
