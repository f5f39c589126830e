"""Takes requests, plans, stores an execution, queues its first message, answers at once; and reads."""
