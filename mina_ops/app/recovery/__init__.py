"""Socket.IO's connection state recovery, across colours: a client gets back what it missed."""
