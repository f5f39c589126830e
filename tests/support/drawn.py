"""How drawn commands are played on a real store: the same ones in every run, and not made smaller when they fail."""

from hypothesis import HealthCheck, Phase, settings


def drawn(examples: int) -> settings:
    """So many examples. A failure is short enough to be read, and shrinking one takes minutes."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
