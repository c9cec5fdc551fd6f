"""Numbered streams from clients: each number handled once, in order."""
