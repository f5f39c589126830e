"""Messages handed on to HTTP addresses by rules, as Ably's integrations do."""
