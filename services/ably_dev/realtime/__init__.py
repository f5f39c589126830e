"""Connections: what a websocket says, what it hears, and how long it may."""
