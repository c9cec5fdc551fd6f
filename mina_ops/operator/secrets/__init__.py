"""Rotates the app's secrets while it goes on serving."""
