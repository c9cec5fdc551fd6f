"""Is the new colour fit for traffic? Figures of both colours in, verdicts with reasons out."""
