"""The command `lab-migrate`: scan, convert, record, compare, parity, run and demo."""
