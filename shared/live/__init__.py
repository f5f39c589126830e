"""Following executions while they run: one reader of Redis for a process, and any number of readers of it."""
