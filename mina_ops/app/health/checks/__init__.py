"""The built-in checks, one file for each dependency."""
