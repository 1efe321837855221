"""Rules of the idiomatic tier; one per file, see `lab_bridge.idiomatic.rule`."""
