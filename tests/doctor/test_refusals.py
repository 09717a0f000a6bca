"""A broker that is there and refuses is not taken for one that is away."""

from tests.stream.refusing_broker import SAID, refusing_passwords, with_wrong_password
from worker.doctor.examination import CHECKS, examine
from worker.doctor.finding import Level
from worker.errors import ExitCode


def test_a_wrong_password_is_found_as_such() -> None:
    with refusing_passwords() as address:
        asked = {name: CHECKS[name] for name in ("broker", "topics", "group")}
        broker, topics, group = examine(with_wrong_password(address), asked)
    assert (broker.level, broker.exit_code) == (Level.FAILED, ExitCode.AUTHENTICATION)
    assert SAID in broker.detail
    assert "password" in (broker.hint or "")
    assert {topics.level, group.level} == {Level.SKIPPED}
