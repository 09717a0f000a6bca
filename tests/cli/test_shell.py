"""What every command shares: help, errors and their exit codes, the version, quick and quiet behaviour."""

import errno
import io
import os
import re
import resource
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
import typer
from pydantic import TypeAdapter, ValidationError

from worker import __version__
from worker.cli import commands, main
from worker.cli.commands import BUILT_IN, CommandSource
from worker.errors import (
    AuthenticationError,
    DataError,
    DependencyError,
    ExitCode,
    ModelError,
    TaglineError,
    UsageError,
)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], int]:
    """Run ``tagline probe``, a command whose body the test gives, and return its exit code."""
    module = types.ModuleType("probe_module")
    monkeypatch.setitem(sys.modules, "probe_module", module)
    source = CommandSource("probe", "Only for this test.", "probe_module", "probe")
    monkeypatch.setattr(commands, "BUILT_IN", (*BUILT_IN, source))

    def run(body: Callable[[], object]) -> int:
        def probe() -> object:
            """Do what the test says."""
            return body()

        module.probe = probe  # type: ignore[attr-defined]  # a module made for this test
        return main(["probe"])

    return run


def raising(error: BaseException) -> Callable[[], object]:
    def body() -> object:
        raise error

    return body


@pytest.mark.parametrize("name", [source.name for source in BUILT_IN] + ["train"])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([name, "--help"])

    output = capsys.readouterr()
    assert code == 0, output.err
    assert output.out.startswith(f"Usage: tagline {name}")
    assert "\x1b" not in output.out, "colour without a terminal"


def test_the_help_lists_every_command_with_its_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    text = capsys.readouterr().out
    for source in BUILT_IN:
        assert re.search(rf"^  {source.name} +{re.escape(source.summary)}$", text, re.MULTILINE), source.name


def test_the_help_shows_a_command_of_another_package_as_plainly_as_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    assert "\n  train      The commands that make data and models.\n" in capsys.readouterr().out


def test_help_is_quick_because_it_imports_no_command() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = "import sys; from worker.cli import main; main(['--help']); sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)

    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used_s < 2.0, "of a processor: 0.1 s, however busy the machine is"


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tagline {__version__}\n"


def test_no_command_prints_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == ExitCode.USAGE
    assert "Commands:" in capsys.readouterr().err


def test_a_mistyped_command_is_answered_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topcs"]) == ExitCode.USAGE

    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "error: No such command 'topcs'. Did you mean 'topics'?",
        "hint: `tagline --help` lists what it takes",
    ]


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--nonsense"]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: No such option: --nonsense")


@pytest.mark.parametrize("kind", [UsageError, DependencyError, AuthenticationError, ModelError, DataError])
def test_an_expected_error_is_a_line_a_hint_and_its_exit_code(
    kind: type[TaglineError], probe: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    code = probe(raising(kind("it is broken", hint="mend it")))

    assert code == kind.exit_code
    assert capsys.readouterr().err == "error: it is broken\nhint: mend it\n"


def test_an_unexpected_exception_is_a_bug_with_its_traceback(
    probe: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(raising(OSError("never thought of"))) == ExitCode.BUG

    text = capsys.readouterr().err
    assert "Traceback" in text
    assert "in body" in text
    assert "OSError: never thought of" in text
    assert text.splitlines()[-1].startswith("error: unexpected")


def test_a_traceback_repeats_nothing_that_a_user_wrote(
    probe: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    written = (
        f"number {time.time_ns()} in the queue"  # a traceback shows the lines of a source, and so a literal
    )

    def body() -> object:
        try:
            return TypeAdapter(int).validate_python(written)
        except ValidationError as error:
            raise LookupError(written) from error

    assert probe(body) == ExitCode.BUG

    text = capsys.readouterr().err
    assert re.findall(r"^(\w+Error):", text, re.MULTILINE) == ["ValidationError", "LookupError"]
    assert "in body" in text
    assert written not in text


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EACCES, "choose a place"),
        (errno.EPERM, "choose a place"),
        (errno.EROFS, "choose a place"),
    ],
)
def test_a_file_that_the_machine_refuses_is_no_bug(
    number: int,
    mend: str,
    probe: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAGLINE_LOCAL_DIR", "/there")
    for file, is_the_stacks in (("/there/file", True), ("/elsewhere/file", False)):
        assert probe(raising(OSError(number, os.strerror(number), file))) == ExitCode.DEPENDENCY

        said, hint = capsys.readouterr().err.splitlines()
        assert said == f"error: {file}: {os.strerror(number)}"
        assert hint.startswith(f"hint: {mend}")
        assert ("TAGLINE_LOCAL_DIR" in hint) == is_the_stacks


def test_a_write_to_a_full_disk_names_no_file_and_is_no_bug_either(
    probe: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(raising(OSError(errno.ENOSPC, "No space left on device"))) == ExitCode.DEPENDENCY
    assert capsys.readouterr().err.startswith("error: No space left on device\nhint: free space")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EBADF, "Bad file descriptor"),
        PermissionError(errno.EPERM, "Operation not permitted"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),  # to a server: stdout is as it was
    ],
)
def test_other_errors_of_the_system_are_bugs_with_their_traceback(
    error: OSError, probe: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(raising(error)) == ExitCode.BUG
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_stdout_that_is_full_is_said_once() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "worker.cli", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == ExitCode.DEPENDENCY
    assert done.stderr.splitlines()[0] == f"error: {os.strerror(errno.ENOSPC)}"
    assert len(done.stderr.splitlines()) == 2


def test_an_interrupt_ends_with_130(probe: Callable[..., int]) -> None:
    assert probe(raising(KeyboardInterrupt())) == 130


@pytest.mark.parametrize(("body", "code"), [(lambda: None, 0), (lambda: 6, 6), (raising(typer.Exit(7)), 7)])
def test_a_command_chooses_its_exit_code_by_returning_or_by_exit(
    body: Callable[[], object], code: int, probe: Callable[..., int]
) -> None:
    assert probe(body) == code


def test_results_own_stdout_and_logs_are_as_before_afterwards(
    probe: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = structlog.get_config()

    def body() -> None:
        structlog.get_logger().info("routine")
        structlog.get_logger().warning("something to know")
        typer.echo("result")

    assert probe(body) == 0
    output = capsys.readouterr()
    assert output.out == "result\n"
    assert "something to know" in output.err
    assert "routine" not in output.err
    assert structlog.get_config() == before


def test_a_locale_without_a_character_shows_a_question_mark(
    probe: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="gbk"))
    assert probe(lambda: print("很好 👍")) == 0
    assert written.getvalue() == "很好 ?\n".encode("gbk")


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()  # long before Python has started

    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=30) == 0


def test_a_terminal_that_was_closed_is_no_error_either(
    probe: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        os.close(ours)
        assert probe(lambda: print("fed 40 events", flush=True)) == ExitCode.OK
    assert capfd.readouterr().err == ""


def test_a_command_whose_module_is_missing_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = CommandSource("absent", "Not there.", "worker.cli.not_there", "app")
    monkeypatch.setattr(commands, "BUILT_IN", (*BUILT_IN, missing))

    assert main(["absent"]) == ExitCode.DEPENDENCY
    assert "cannot be loaded" in capsys.readouterr().err
    assert main(["--help"]) == 0


def test_the_config_option_names_the_settings_file(
    probe: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("TAGLINE_CONFIG", "something else")
    probe(lambda: None)

    main(["--config", f"{tmp_path}/settings.toml", "probe"])
    assert os.environ["TAGLINE_CONFIG"] == f"{tmp_path}/settings.toml"
