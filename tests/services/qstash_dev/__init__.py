"""qstash_dev: pure parts in tables, the server over real HTTP and a real Valkey, and what survives a kill."""
