"""Whether a migration suits the code of both colours, and what to do after one that failed."""
