"""The pytest plugin: `@pytest.mark.parity`, golden traces, `--parity-record` and `--parity-device`.

A package of its own, because pytest loads it in every test run of every project that has lab-migrate installed:
nothing heavy is imported before a test asks for it.
"""
