"""Judges whether the new colour is fit for traffic, from the figures of both colours."""
