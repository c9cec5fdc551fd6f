"""Connection state recovery over colours: rooms, session and missed events come back."""
