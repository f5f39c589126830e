"""`intention sim`."""

from click.testing import CliRunner

from shared.cli.main import intention


def test_a_campaign_reports_and_ends_well() -> None:
    """Exit code 0, and what was run."""
    result = CliRunner().invoke(intention, ["sim", "--seeds", "60", "--jobs", "2"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("60 runs")
    assert "No promise was broken." in result.output


def test_one_seed_tells_its_story() -> None:
    """Every line has its moment."""
    result = CliRunner().invoke(intention, ["sim", "--seed", "5", "--strict"])
    assert result.exit_code == 0, result.output
    assert "has accepted exe_" in result.output
    assert result.output.rstrip().endswith("again: intention sim --seed 5 --strict")
