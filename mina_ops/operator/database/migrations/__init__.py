"""Migrations that suit both colours."""
