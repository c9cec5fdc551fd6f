"""A database by its URL: engines, identity, access."""
