"""Flags over time, as the operator's half moves them: a rollout, step by step."""
