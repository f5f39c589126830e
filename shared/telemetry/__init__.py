"""What others see of the engine: traces, metrics. What needs a library is imported only where a setting turns it on."""
