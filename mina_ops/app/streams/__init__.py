"""Streams of numbered chunks from clients: each chunk is handled once, in order."""
