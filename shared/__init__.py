"""What every service stands on: the pure machine, the ports it needs, and the adapters behind them."""
