"""Connections to a database by its URL: engines, identity, access rights, catalogue."""
