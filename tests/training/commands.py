"""``tagline train`` in this process."""

from typer.testing import CliRunner

from training.cli import app


def tagline_train(*arguments: object) -> str:
    """Run a command that must work; returns what it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
