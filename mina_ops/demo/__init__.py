"""A small real Mina and all that runs it: servers, load, and the playbook played through."""
