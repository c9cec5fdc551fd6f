"""Emergencies: their record, the hotline, evidence, letters to users, the status page."""
