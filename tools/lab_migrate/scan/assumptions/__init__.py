"""One assumption a file; see `lab_migrate.scan.assumption`."""
