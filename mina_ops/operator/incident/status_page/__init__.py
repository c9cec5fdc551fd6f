"""A status page for the users: index.html and status.json in a folder for any web server."""
