"""Checks of a database's data: lost rows, broken rules, damaged pages and indexes."""
