"""The Socket.IO sessions of this process: who is connected, and which handshakes are let in."""
