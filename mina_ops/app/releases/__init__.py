"""Releases of this site, as their controllers report them: for the console, dashboards, people."""
