"""The trace browser: every response of a run to filter, search and read, inside the report or served by `view`."""
