"""Finds, reads and checks `mina-ops.toml`."""
