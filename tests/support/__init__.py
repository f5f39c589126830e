"""What several test folders share: a real server, waiting with a deadline, builders, the check of the keyspace."""
