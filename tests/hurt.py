"""What tests of faults do to the parts of a local stack. A part must be ours and started; `Stack.up` mends all of it."""

import signal

from worker.local import process
from worker.local.process import Started
from worker.local.stack import Stack
from worker.local.state import StateFile


def kill_broker(stack: Stack) -> None:
    """End Kafka as a power cut would. Blocks until the process is gone."""
    process.kill(_broker(stack))


def pause_broker(stack: Stack) -> None:
    """Make Kafka hang: its connections stay open and nothing answers."""
    process.send(_broker(stack), signal.SIGSTOP)


def resume_broker(stack: Stack) -> None:
    """Undo :func:`pause_broker`."""
    process.send(_broker(stack), signal.SIGCONT)


def kill_cache(stack: Stack) -> None:
    """End the cache's server as a power cut would; all it held is lost. Blocks until the process is gone."""
    cache = StateFile(stack.folder).read().cache
    assert cache is not None
    process.kill(cache)


def _broker(stack: Stack) -> Started:
    broker = StateFile(stack.folder).read().broker
    assert broker is not None
    return broker
