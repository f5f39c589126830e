"""What people do to executions and ask of them: pure, without a store."""
