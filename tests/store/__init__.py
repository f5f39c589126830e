"""The store under load: what several processes saw of one Valkey is explained by one order of events."""
