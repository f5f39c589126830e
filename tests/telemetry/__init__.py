"""What others see of the engine: traces, metrics, logs of steps."""
