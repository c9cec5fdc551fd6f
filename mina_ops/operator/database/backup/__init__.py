"""Backups that are proven by a restore, and restores of them."""
