"""The console: one page that shows both colours and lets an admin act. See docs/console.md."""
