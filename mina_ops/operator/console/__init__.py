"""The console from the operator's side: found, or served while both colours are down."""
