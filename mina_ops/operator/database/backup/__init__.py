"""Backups that were proven, and restores."""
