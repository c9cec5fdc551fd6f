"""A small real Mina, and `mina-ops demo`, which plays the playbook through on this machine.

The app itself: `app`, `api`, `audio`, `auth`, `pages`, `models`, `ledger` (what was handled, to
count losses by). What runs it is named as in a theatre:

    stage        the servers: Redis, nginx, both colours (`servers`, `processes`, `programs`)
    crowd        the load: HTTP requests (`load`) and streaming clients (`clients`)
    play, acts   the phases of the playbook, in order (`play`), then bad releases (`second_act`)
    script       how long and how large the play is
    show         what is printed meanwhile
    performance  all of it, from set-up to the last line
"""
