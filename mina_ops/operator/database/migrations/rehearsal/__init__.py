"""A migration run for real in a scratch copy of the schema, to see what it does."""
