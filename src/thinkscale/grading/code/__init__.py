"""Programs: found in a response, their tests read, and judged from executions that are handed in (pure)."""
