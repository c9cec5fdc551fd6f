"""Leases: one controller at a time for one thing, such as the traffic of this site."""
