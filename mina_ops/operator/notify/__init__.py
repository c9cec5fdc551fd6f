"""Notifications to people, over the channels of mina-ops.toml."""
