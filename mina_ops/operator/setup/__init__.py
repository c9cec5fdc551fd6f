"""`mina-ops init`: the files that a first blue/green site needs."""
