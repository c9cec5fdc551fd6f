"""The database of both colours: backup and restore, integrity, migrations that suit both."""
