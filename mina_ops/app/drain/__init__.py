"""Moving every live conversation of a colour away, without losing a part of it."""
