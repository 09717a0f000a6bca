"""Settings: which source wins, what is refused, and that no secret is ever shown."""

import json
import os
from pathlib import Path

import pytest

from worker.cli import main
from worker.errors import ExitCode, UsageError
from worker.settings import Settings, load, resolve
from worker.settings_docs import MASK, effective, settings_docs
from worker.settings_sources import PREFIX, fields_of, variable_of

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(variable)


def toml(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "tagline.toml"
    file.write_text(text, "utf-8")
    return {"TAGLINE_CONFIG": str(file)}


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(UsageError) as caught:
        load(environ=environ)
    return caught.value.message


def test_defaults_need_no_source_at_all() -> None:
    assert load(environ={}) == Settings()


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path: Path) -> None:
    environ = toml(
        tmp_path,
        'delivery = "exactly_once"\n[kafka]\ngroup_id = "file"\nstart_from = "latest"\n[window]\nmax_records = 7\n',
    ) | {"TAGLINE_KAFKA_GROUP_ID": "environment", "TAGLINE_KAFKA_START_FROM": "error"}

    settings, origins = resolve({"kafka.group_id": "flag", "source": None}, environ)

    assert (settings.kafka.group_id, origins["kafka.group_id"]) == ("flag", "flag")
    assert (settings.kafka.start_from, origins["kafka.start_from"]) == ("error", "TAGLINE_KAFKA_START_FROM")
    assert (settings.window.max_records, origins["window.max_records"]) == (7, environ["TAGLINE_CONFIG"])
    assert (settings.delivery, settings.source, origins["source"]) == ("exactly_once", "/tagline", "default")


def test_root_settings_have_no_group_in_their_variable() -> None:
    assert load(environ={"TAGLINE_DELIVERY": "exactly_once"}).delivery == "exactly_once"


def test_a_secret_may_be_mounted_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2\n", "utf-8")

    secret = load(environ={"TAGLINE_CACHE_SECRET_FILE": str(file)}).cache.secret

    assert secret.get_secret_value() == "hunter2"


@pytest.mark.parametrize("content", ["", "\n", " \r\n"])
def test_a_mounted_secret_that_is_empty_is_refused(tmp_path: Path, content: str) -> None:
    """Unlike an empty variable: somebody mounted it, and without it the cache's names could be looked up by anyone."""
    file = tmp_path / "secret"
    file.write_text(content, "utf-8")
    message = refused({"TAGLINE_CACHE_SECRET_FILE": str(file)})
    assert message == f"TAGLINE_CACHE_SECRET_FILE names {file}, which is empty"


def test_a_wrong_setting_does_not_repeat_the_file_that_was_mounted_for_it(tmp_path: Path) -> None:
    """The file may be another setting's: a password mounted as a number of milliseconds."""
    file = tmp_path / "secret"
    file.write_text("hunter2\n", "utf-8")
    message = refused({"TAGLINE_REDIS_BUDGET_MS_FILE": str(file)})
    assert "redis.budget_ms (from TAGLINE_REDIS_BUDGET_MS_FILE)" in message
    assert "hunter2" not in message

    file.write_text('{"socket.nagle.disable": 117117}', "utf-8")
    message = refused({"TAGLINE_KAFKA_CLIENT_OPTIONS_FILE": str(file)})
    assert "socket.nagle.disable should be a valid string" in message
    assert "117117" not in message


def test_a_setting_whose_own_name_ends_in_file_is_not_read_as_a_mounted_secret() -> None:
    environ = {"TAGLINE_KAFKA_CA_FILE": "/etc/ca.pem", "TAGLINE_KAFKA_SECURITY_PROTOCOL": "SSL"}
    assert load(environ=environ).kafka.ca_file == Path("/etc/ca.pem")


def test_a_secret_given_twice_or_not_readable_is_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert "both TAGLINE_CACHE_SECRET and" in refused(
        {"TAGLINE_CACHE_SECRET": "a", "TAGLINE_CACHE_SECRET_FILE": missing}
    )
    assert "cannot be read: No such file" in refused({"TAGLINE_CACHE_SECRET_FILE": missing})


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(environ={"TAGLINE_REDIS_URL": "", "TAGLINE_WINDOW_MAX_RECORDS": ""}) == Settings()


def test_librdkafka_options_come_as_json() -> None:
    given = {"TAGLINE_KAFKA_CLIENT_OPTIONS": '{"fetch.wait.max.ms": "20"}'}
    assert load(environ=given).kafka.client_options == {"fetch.wait.max.ms": "20"}
    assert "TAGLINE_KAFKA_CLIENT_OPTIONS is not JSON" in refused({"TAGLINE_KAFKA_CLIENT_OPTIONS": "fetch=20"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TAGLINE_KAFKA_GRUOP_ID", "TAGLINE_KAFKA_GROUP_ID"),
        ("TAGLINE_BOOTSTRAP_SERVERS", "TAGLINE_KAFKA_BOOTSTRAP_SERVERS"),
        ("TAGLINE_KAFKA_BOOTSTRAP_SERVER", "TAGLINE_KAFKA_BOOTSTRAP_SERVERS"),
        ("TAGLINE_KAFKA__GROUP_ID", "TAGLINE_KAFKA_GROUP_ID"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_name_that_was_meant(name: str, meant: str) -> None:
    message = refused({name: "x"})
    assert name in message
    assert f"did you mean {meant}" in message


def test_an_unknown_key_in_the_file_or_among_flags_is_refused(tmp_path: Path) -> None:
    message = refused(toml(tmp_path, '[kafka]\ngroupid = "x"\n[redsi]\nurl = "x"\n'))
    assert "kafka.groupid (did you mean kafka.group_id?)" in message
    assert "redsi.url (did you mean redis.url?)" in message
    with pytest.raises(UsageError, match=r"unknown setting in flag: kafka\.nope"):
        load({"kafka.nope": 1}, {})


def test_a_file_that_is_missing_or_not_toml_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused({"TAGLINE_CONFIG": str(tmp_path / "nowhere.toml")})
    assert "is not TOML" in refused(toml(tmp_path, "[kafka\n"))


def test_variables_that_name_places_are_not_settings() -> None:
    assert load(environ={"TAGLINE_LOCAL_DIR": "/x", "TAGLINE_CACHE_DIR": "/y", "HOME": "/z"}) == Settings()


@pytest.mark.parametrize(
    "variables",
    [
        {
            "TAGLINE_SERVICE_HOST": "10.0.0.1",
            "TAGLINE_SERVICE_PORT": "9464",
            "TAGLINE_SERVICE_PORT_METRICS": "9464",
        },
        {"TAGLINE_PORT": "tcp://10.0.0.1:9464", "TAGLINE_PORT_9464_TCP_ADDR": "10.0.0.1"},
        {"TAGLINE_TELEMETRY_PORT": "tcp://10.0.0.1:9464"},
    ],
)
def test_variables_that_kubernetes_makes_for_a_service_are_passed_over(variables: dict[str, str]) -> None:
    assert load(environ=variables) == load(environ={})
    assert load(environ=variables | {"TAGLINE_KAFKA_GROUP_ID": "g"}).kafka.group_id == "g"


def test_every_wrong_value_gets_its_own_line_with_its_source() -> None:
    message = refused({"TAGLINE_WINDOW_MAX_RECORDS": "many", "TAGLINE_DELIVERY": "twice"})
    assert "window.max_records (from TAGLINE_WINDOW_MAX_RECORDS): should be a valid integer" in message
    assert "not 'many'" in message
    assert (
        "delivery (from TAGLINE_DELIVERY): should be 'at_least_once' or 'exactly_once', not 'twice'"
        in message
    )


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999"])
@pytest.mark.parametrize(
    "name", ["KAFKA_SESSION_TIMEOUT_S", "WINDOW_MAX_WAIT_MS", "TELEMETRY_STATISTICS_INTERVAL_S"]
)
def test_a_time_without_end_is_no_time(name: str, value: str) -> None:
    assert f"(from TAGLINE_{name}): should be" in refused({f"TAGLINE_{name}": value})


def test_settings_that_do_not_fit_together_are_refused() -> None:
    assert "needs username and password" in refused({"TAGLINE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"})
    assert "limits.drain_timeout_s must be below" in refused({"TAGLINE_LIMITS_DRAIN_TIMEOUT_S": "301"})
    insecure = {
        "TAGLINE_KAFKA_USERNAME": "u",
        "TAGLINE_KAFKA_PASSWORD": "p",
        "TAGLINE_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    }
    assert "unencrypted" in refused(insecure)
    assert load(environ=insecure | {"TAGLINE_KAFKA_ALLOW_INSECURE": "true"}).kafka.allow_insecure


@pytest.mark.parametrize(
    ("given", "protocol", "named", "meant"),
    [
        ({"USERNAME": "u", "PASSWORD": "hunter2"}, None, "username, password", "SASL_SSL"),
        ({"PASSWORD": "hunter2"}, "SSL", "password", "SASL_SSL"),
        ({"CA_FILE": "/ca.pem"}, None, "ca_file", "SSL"),
        ({"CERTIFICATE_FILE": "/c.pem", "KEY_FILE": "/k.pem"}, None, "certificate_file, key_file", "SSL"),
        ({"PASSWORD": "hunter2", "CA_FILE": "/ca.pem"}, None, "password, ca_file", "SASL_SSL"),
        (
            {"USERNAME": "u", "PASSWORD": "hunter2", "CA_FILE": "/ca.pem", "ALLOW_INSECURE": "true"},
            "SASL_PLAINTEXT",
            "ca_file",
            "SASL_SSL",
        ),
    ],
)
def test_credentials_and_tls_files_that_the_protocol_would_not_use_are_refused(
    given: dict[str, str], protocol: str | None, named: str, meant: str
) -> None:
    environ = {f"TAGLINE_KAFKA_{name}": value for name, value in given.items()}
    message = refused(environ | ({"TAGLINE_KAFKA_SECURITY_PROTOCOL": protocol} if protocol else {}))

    assert message.endswith(
        f"{named} would not be used, because kafka.security_protocol is {protocol or 'PLAINTEXT'}; set it to {meant}"
    )
    assert "hunter2" not in message


def test_a_poll_interval_below_the_session_is_refused_where_the_worker_sets_the_session() -> None:
    environ = {"TAGLINE_KAFKA_SESSION_TIMEOUT_S": "60", "TAGLINE_KAFKA_MAX_POLL_INTERVAL_S": "59"}
    assert "kafka.max_poll_interval_s must not be below kafka.session_timeout_s" in refused(environ)
    assert load(environ=environ | {"TAGLINE_KAFKA_GROUP_PROTOCOL": "consumer"})


def test_no_error_and_no_listing_repeats_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = toml(tmp_path, 'cache = { secret = ["hunter2"] }\nkafka = { password = 117 }\n')
    message = refused(wrong)
    assert "cache.secret" in message
    assert "hunter2" not in message
    assert "117" not in message

    monkeypatch.setenv("TAGLINE_REDIS_URL", "redis://user:hunter2@cache:6379/0")
    for arguments in (["config", "show"], ["config", "show", "--json"]):
        assert main(arguments) == ExitCode.OK
        output = capsys.readouterr().out
        assert MASK in output
        assert "TAGLINE_REDIS_URL" in output
        assert "hunter2" not in output


@pytest.mark.parametrize(
    "name",
    [
        "ssl.key.password",
        "ssl.key.pem",
        "sasl.jaas.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "Some.Token",
    ],
)
def test_a_secret_among_the_options_of_librdkafka_is_not_shown(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGLINE_KAFKA_CLIENT_OPTIONS", json.dumps({name: "hunter2", "client.rack": "r7"}))
    for arguments in (["config", "show"], ["config", "show", "--json"]):
        assert main(arguments) == ExitCode.OK
        output = capsys.readouterr().out
        assert f'"{name}": "{MASK}"' in output
        assert '"client.rack": "r7"' in output
        assert "hunter2" not in output

    wrong = {name: 117117, "socket.nagle.disable": True}
    message = refused({"TAGLINE_KAFKA_CLIENT_OPTIONS": json.dumps(wrong)})
    assert f"{name} should be a valid string\n" in message
    assert "socket.nagle.disable should be a valid string, not True" in message
    assert "117117" not in message
    unquoted = refused(toml(tmp_path, f'[kafka.client_options]\n{name} = "hunter2"\n'))
    assert "kafka.client_options" in unquoted
    assert "hunter2" not in unquoted
    assert "hunter2" not in refused({"TAGLINE_KAFKA_CLIENT_OPTIONS": json.dumps(f"{name}=hunter2")})


def test_config_show_tells_every_value_and_its_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGLINE_WINDOW_MAX_RECORDS", "99")
    assert main(["config", "show", "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown.keys() == fields_of(Settings).keys()
    assert shown["window.max_records"] == {"value": 99, "source": "TAGLINE_WINDOW_MAX_RECORDS"}
    assert shown["redis.url"] == {"value": None, "source": "default"}


def test_config_show_ends_with_the_usage_code_for_an_unknown_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAGLINE_KAFKA_TYPO", "1")
    assert main(["config", "show"]) == ExitCode.USAGE


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        (
            "TAGLINE_REDIS_URL",
            "redis://:hunter2@host/0?socket_timeout=1",
            "socket_timeout cannot be set there",
        ),
        ("TAGLINE_REDIS_URL", "redis://:hunter2@host:port/0", "TAGLINE_REDIS_URL cannot be used"),
        ("TAGLINE_KAFKA_CLIENT_OPTIONS", '{"acks": "0"}', "acks cannot be set"),
    ],
)
def test_config_show_refuses_what_the_worker_would_refuse_after_its_model_has_loaded(
    variable: str,
    value: str,
    word: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["config", "show"]) == ExitCode.USAGE
    output = capsys.readouterr()
    assert word in output.err
    assert "hunter2" not in output.err + output.out


def test_every_setting_is_described_and_can_be_told_from_every_other_by_its_variable() -> None:
    fields = fields_of(Settings)
    assert len({variable_of(name) for name in fields}) == len(fields)
    assert [name for name, field in fields.items() if not field.description] == []
    assert [row.name for row in effective(resolve({}, {}))] == list(fields)


def test_the_reference_page_is_what_the_settings_say(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    assert page == settings_docs(), "run `tagline config docs > docs/settings.md`"
    assert main(["config", "docs"]) == ExitCode.OK
    assert capsys.readouterr().out == page
