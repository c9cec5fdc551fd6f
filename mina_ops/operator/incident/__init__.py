"""What an incident needs: damage assessed, people told, secrets rotated, access reviewed."""
