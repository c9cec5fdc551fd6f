"""`mina-ops.toml`: found, read, checked."""
