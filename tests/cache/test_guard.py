"""What is said of calls to Redis that do not work: each reason once, until one works."""

from structlog.testing import capture_logs

from worker.cache.guard import Guard


def test_each_reason_is_said_once_until_a_call_works() -> None:
    guard = Guard("read", failures=100, open_s=1.0)
    with capture_logs() as logged:
        for _ in range(2):  # on a busy machine a refusal may come too late now and then
            guard.failed("refused", "AuthenticationError")
            guard.failed("timeout", "no answer in time")
        guard.succeeded()
        guard.failed("timeout", "no answer in time")
    assert [(line["log_level"], line.get("detail")) for line in logged] == [
        ("error", "AuthenticationError"),
        ("warning", "no answer in time"),
        ("info", None),
        ("warning", "no answer in time"),
    ]
