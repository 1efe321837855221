"""Python sources read, never imported: what they define, what they register, what the builders' parameters are."""
