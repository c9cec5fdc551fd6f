"""This machine: its programs, its user, its clock."""
