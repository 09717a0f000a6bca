"""What a failed forward means, and the token budget that shrinks when memory runs out."""

import threading

_CALM_CALLS = 64
"""Calls after which a halved budget is doubled again: what took the memory may be gone."""
_LEAST_TOKENS = 64


class Budget:
    """Tokens per forward. Halves when memory runs out, doubles back after a while. Any thread."""

    def __init__(self, tokens: int) -> None:
        self._most = tokens
        self._now = tokens
        self._calm = 0
        self._lock = threading.Lock()

    def tokens(self) -> int:
        """The budget of one call."""
        with self._lock:
            if self._now < self._most:
                self._calm += 1
                if self._calm > _CALM_CALLS:
                    self._now, self._calm = min(self._most, self._now * 2), 0
            return self._now

    def halve(self, tokens: int) -> None:
        """Memory ran out in a call that was given this budget. Calls that were begun beside it halve nothing more."""
        with self._lock:
            half = max(min(_LEAST_TOKENS, self._most), tokens // 2)
            self._now, self._calm = min(self._now, half), 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less at once may succeed. On a CPU torch raises a plain RuntimeError for it, and so does cuBLAS."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in message
        or "can't allocate memory" in message
        or "bad_alloc" in message
        or "_status_alloc_failed" in message
    )


def is_device_lost(error: BaseException) -> bool:
    """Whether every further forward on this device will fail: a sticky CUDA error, but not its lack of memory."""
    if is_out_of_memory(error):
        return False
    if type(error).__name__ == "AcceleratorError":
        return True
    return isinstance(error, RuntimeError) and (
        "CUDA error" in str(error) or "device-side assert" in str(error)
    )
