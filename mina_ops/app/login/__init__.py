"""A login for hosts that have none."""
