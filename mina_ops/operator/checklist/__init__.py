"""The playbook's checklists, as checks: before a release, after it, and after a total failure."""
