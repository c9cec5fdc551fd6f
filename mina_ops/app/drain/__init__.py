"""The drain: hands every live Socket.IO session of a colour over to the other colour."""
