"""The HTTP APIs as they are told to machines, and the client of ingress."""
