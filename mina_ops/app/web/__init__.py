"""What a request meets first: the WSGI middleware, routes and answers in our form."""
