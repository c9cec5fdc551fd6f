"""The app's half: what runs inside the Flask process."""
