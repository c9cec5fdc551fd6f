"""Releases that judge themselves: plan, phases, journal, analysis, rollback."""
