"""One suite a port, run on every adapter: whatever passes here, the engine may rely on."""
