"""Secrets rotated while the app goes on serving."""
