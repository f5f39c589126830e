"""The shapes of the HTTP API: what ingress takes, and what it answers."""
