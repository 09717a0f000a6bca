"""Every command, its help line, and where it lives; each module is imported when its command is used.

Listing commands must not import them (torch alone takes seconds), so the help line stands here. Another distribution,
or another top-level package of this one, adds a command by an entry point in the group ``tagline.commands``.
"""

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from worker.errors import DependencyError

ENTRY_POINT_GROUP = "tagline.commands"
_LEADING_NAME = re.compile(r"^``[^`]*``: ")


class CommandSource(NamedTuple):
    """Where a command is found: ``attribute`` of ``module`` is a ``typer.Typer`` (a group) or a function."""

    name: str
    summary: str
    module: str
    attribute: str


BUILT_IN = (
    CommandSource(
        "demo",
        "Start all of it here, feed samples, watch them being tagged.",
        "worker.cli.demo",
        "demo",
    ),
    CommandSource("run", "Run one worker until it is told to stop.", "worker.cli.run", "run"),
    CommandSource(
        "classify", "Tag text from the arguments or stdin, without Kafka.", "worker.cli.classify", "classify"
    ),
    CommandSource("tap", "Follow the tagged topics and print what comes by.", "worker.cli.tap", "tap"),
    CommandSource(
        "local", "Start and stop Kafka and Redis on this machine, without Docker.", "worker.cli.local", "app"
    ),
    CommandSource("topics", "Create the topics, or check those that exist.", "worker.cli.topics", "app"),
    CommandSource("dlq", "List, show and redrive dead letters.", "worker.cli.dlq", "app"),
    CommandSource(
        "doctor",
        "Check versions, model, Kafka, Redis; a hint for each fault.",
        "worker.cli.doctor",
        "doctor",
    ),
    CommandSource(
        "config", "Show the settings in force, or write their reference page.", "worker.cli.config", "app"
    ),
    CommandSource(
        "model", "Look into a model bundle, verify it, or import a checkpoint.", "worker.cli.model", "app"
    ),
    CommandSource(
        "contracts",
        "Export the schemas of all messages, or check for drift.",
        "worker.cli.contracts",
        "app",
    ),
    CommandSource("bench", "Measure the worker on this machine.", "worker.cli.bench", "bench"),
)


class CommandTable(TyperGroup):
    """The root group. ``get_command`` imports, listing does not. Typer keeps its context type private, hence ``Any``."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class's signature
        """Names in the order of the table, then those from entry points."""
        return [source.name for source in _sources()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command itself, or, while help is being written, a stand-in that has only its summary."""
        source = next((source for source in _sources() if source.name == cmd_name), None)
        if source is None:
            return None
        if self._listing:
            return TyperCommand(source.name, help=source.summary, rich_markup_mode=None)
        _keep_logs_off_stdout(ctx)
        return load(source)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; the base class proposes near misses from ``commands``, so the names are left there."""
        with self._summaries_only():
            self.commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help without importing a command."""
        with self._summaries_only():
            super().format_help(ctx, formatter)

    @contextmanager
    def _summaries_only(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


def load(source: CommandSource) -> Any:
    """Import a command and build it. Raises ``DependencyError`` when its module or something that it needs is missing."""
    try:
        found: typer.Typer | Callable[..., object] = getattr(
            importlib.import_module(source.module), source.attribute
        )
    except ImportError as error:
        raise DependencyError(
            f"`tagline {source.name}` cannot be loaded: {error}",
            hint="`make setup` installs what every command needs; `pip install 'tagline[local,training]'` does it elsewhere",
        ) from error
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = (
            None  # help is plain text everywhere: same look in a terminal, a log and a manual
        )
        group = typer.main.get_group(found)
        group.name, group.no_args_is_help = source.name, True
        return group
    shell = typer.Typer(rich_markup_mode=None, add_completion=False)
    shell.command(source.name)(found)
    return typer.main.get_command(shell)


def _keep_logs_off_stdout(ctx: Any) -> None:
    """Results go to stdout, so logs go to stderr, and only warnings, until a command (`run`) sets them up as it likes."""
    import structlog

    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    ctx.call_on_close(lambda: structlog.configure(**before))


def _sources() -> Iterator[CommandSource]:
    yield from BUILT_IN
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        yield CommandSource(point.name, _docstring_line(point), point.module, point.attr)


def _docstring_line(point: EntryPoint) -> str:
    """First line of the module's docstring without the command's name, read from its source without running it."""
    try:
        spec = importlib.util.find_spec(point.module)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        return "(not installed)"
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text("utf-8"))) or ""
    line = _LEADING_NAME.sub("", docstring.partition("\n")[0]).replace("``", "`")
    return line[:1].upper() + line[1:]
