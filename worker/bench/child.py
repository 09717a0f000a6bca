"""How a measuring module talks to the bench: a specification on stdin, the result on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Callable
from typing import Any

import orjson


def answer(function: Callable[[dict[str, Any]], dict[str, object]]) -> int:
    """Read the specification, call the function, write its result. Whatever it prints, as logs do, goes to stderr."""
    results = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    result = function(orjson.loads(sys.stdin.buffer.read()))
    with os.fdopen(results, "wb") as file:
        file.write(orjson.dumps(result))
    return 0
