"""The command line: what every command shares.

``main`` parses, runs one command and turns whatever it raises into a line a person can act on and a documented exit code
(:class:`worker.errors.ExitCode`). The commands themselves are listed in :mod:`worker.cli.commands` and imported only when
one of them is used, so that ``tagline --help`` does not wait for torch.
"""

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from worker import __version__
from worker.cli import streams
from worker.cli.commands import CommandTable
from worker.errors import SPEAKING_ERRORS, ExitCode, TaglineError
from worker.local.folders import REFUSALS

app = typer.Typer(
    name="tagline",
    cls=CommandTable,
    help="Tag product titles and reviews with sentiment, from Kafka to Kafka.",
    epilog="Exit codes: 0 done, 2 usage, 3 something does not answer or the disk refuses, 4 refused, 5 model, 6 data. "
    "`tagline COMMAND --help` explains each option.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_GONE = frozenset({errno.EPIPE, errno.EIO})
"""What a write says to a pipe without a reader, and to a terminal that was closed."""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tagline {__version__}")
        raise typer.Exit


@app.callback()
def _shared_options(
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with settings; TAGLINE_CONFIG is the same. The environment wins over it.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end."),
    ] = False,
) -> None:
    if config is not None:
        os.environ["TAGLINE_CONFIG"] = str(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code; never raises, never calls ``sys.exit``.

    ``arguments`` are those after the program's name; ``sys.argv`` when not given. A command ends well by returning (an
    integer is taken as the exit code) or early by ``typer.Exit(code)``, and badly by a ``TaglineError``.
    """
    streams.prepare()
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.KILLED
    except TaglineError as error:
        _complain(error.message, error.hint)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence; everything expected was handled above
        if isinstance(error, OSError) and error.errno in _GONE and streams.reader_has_left(sys.stdout):
            streams.discard_stdout()
            return ExitCode.OK  # the reader (`| head`) has seen enough, or the terminal was closed
        if isinstance(error, OSError) and _is_the_machines(error):
            return _complain_of_the_machine(error)
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG and error.filename is not None:
            _complain(f"{error.filename}: {error.strerror}", "name another place")
            return ExitCode.USAGE
        _print_frames(error)
        _complain("unexpected; this is a bug in tagline, and the lines above say where")
        return ExitCode.BUG
    return code


def _run(arguments: list[str]) -> int:
    root = typer.main.get_command(app)
    try:
        with root.make_context("tagline", arguments) as context:
            result = root.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except typer.Abort:
        return ExitCode.KILLED
    except TyperException as error:
        return _complain_of_usage(error)
    return result if isinstance(result, int) else ExitCode.OK


def _complain_of_usage(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    if context is None:
        _complain(error.format_message())
    elif type(error).__name__ == "NoArgsIsHelpError":
        streams.say(context.get_help())
    else:
        _complain(error.format_message(), f"`{context.command_path} --help` lists what it takes")
    return ExitCode.USAGE


def _is_the_machines(error: OSError) -> bool:
    """Whether it is ordinary trouble with a file. A write to a full disk names none; any other without a name may be a bug."""
    return error.errno in REFUSALS and (error.filename is not None or error.errno in _FULL)


def _complain_of_the_machine(error: OSError) -> int:
    place = "" if error.filename is None else f"{error.filename}: "
    mend = "free space" if error.errno in _FULL else "choose a place that this user may read and write"
    if _lies_in_the_local_stack(error.filename):
        mend += "; TAGLINE_LOCAL_DIR names another folder for the local stack"
    _complain(f"{place}{error.strerror}", mend)
    try:
        sys.stdout.flush()
    except OSError:
        streams.discard_stdout()  # it was stdout that is full
    return ExitCode.DEPENDENCY


def _lies_in_the_local_stack(name: object) -> bool:
    from worker.local.state import default_folder

    return isinstance(name, str) and Path(name).absolute().is_relative_to(default_folder(os.environ))


def _print_frames(error: BaseException) -> None:
    """The traceback, without the messages that could hold what a user wrote."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        _print_frames(earlier)
    said = str(error) if isinstance(error, SPEAKING_ERRORS) else "(its message could hold what a user wrote)"
    frames = "".join(traceback.format_tb(error.__traceback__))
    streams.say(f"Traceback (most recent call last):\n{frames}{type(error).__name__}: {said}")


def _complain(message: str, hint: str | None = None) -> None:
    streams.say(f"error: {message}")
    if hint:
        streams.say(f"hint: {hint}")
