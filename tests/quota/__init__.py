"""The quota: arithmetic, the keeper, and what holds whatever happens."""
