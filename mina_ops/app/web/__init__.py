"""The WSGI middleware, our Flask routes, and the form of our answers."""
