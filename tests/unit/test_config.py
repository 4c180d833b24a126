"""Settings: where they come from, what is refused by name, and that no secret is ever shown."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url

from authservice import config
from authservice.config import ConfigError, Stray, load, origins, strays, without_password
from authservice.storage.hosts import split

ALL_CHARACTERS = "p@ss:w/o#r?d%41 &+=[]{}'\"\\é🔑canary"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, so that only a test's own .env file is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(**overrides: Any) -> str:
    """Return the text of the error that settings are refused with."""
    with pytest.raises(ConfigError) as refused:
        load(**overrides)
    return str(refused.value)


def source_of(name: str) -> str:
    return next(row.source for row in origins(load()) if row.variable == name)


def test_without_any_setting_everything_runs_embedded_and_on_loopback() -> None:
    settings = load()
    assert settings.is_sqlite
    assert settings.is_loopback
    assert settings.has_reflection
    assert settings.jwt_secret is None
    assert not settings.insecure
    assert settings.bcrypt_cost == 12
    assert settings.password_min_length == 15
    assert {row.source for row in origins(settings)} == {"default"}


def test_the_variables_of_the_node_application_work_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"DB_HOST": "db.internal", "DB_USER": "auth", "DB_PASSWORD": "secret", "DB_NAME": "users"}
    for name, value in (node | {"JWT_SECRET": "j" * 32}).items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.database_address().get_secret_value() == "mysql://auth:secret@db.internal:3306/users"
    assert settings.jwt_secret == SecretStr("j" * 32)
    assert not settings.is_sqlite
    assert source_of("DB_HOST") == source_of("JWT_SECRET") == "environment"


def test_a_dotenv_file_is_read_and_the_environment_wins(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["DB_HOST=file.internal", "DB_USER=file", 'DB_PASSWORD="from #file"', "AUTHSERVICE_PORT=50100", "OTHER=1"]
    (empty_folder / ".env").write_text("\n".join(lines))
    monkeypatch.setenv("DB_HOST", "environment.internal")
    settings = load()
    assert (settings.db_host, settings.db_user, settings.port) == ("environment.internal", "file", 50100)
    assert settings.db_password == SecretStr("from #file")
    assert (source_of("DB_HOST"), source_of("DB_USER"), source_of("DB_NAME")) == ("environment", ".env", "default")


def test_the_command_line_wins_over_both(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / ".env").write_text("AUTHSERVICE_PORT=50100")
    monkeypatch.setenv("AUTHSERVICE_PORT", "50200")
    assert load(port=50300).port == 50300
    assert load(port=None).port == 50200


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DB_HOST", "DB_PASSWORD", "JWT_SECRET", "AUTHSERVICE_PORT", "AUTHSERVICE_INSECURE"):
        monkeypatch.setenv(name, "")
    settings = load()
    assert settings.is_sqlite
    assert settings.jwt_secret is None
    assert (settings.port, settings.insecure) == (50051, False)
    assert source_of("JWT_SECRET") == "default"


@pytest.mark.parametrize("name", ["HOST", "PORT", "MASTER_KEY", "AUTHSERVICE_JWT_SECRET", "AUTHSERVICE_DB_HOST"])
def test_variables_of_other_programs_are_not_ours(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "50999")
    assert {row.source for row in origins(load())} == {"default"}


@pytest.mark.parametrize(
    ("name", "shown", "remedy"),
    [
        ("AUTHSERVICE_PROT", "AUTHSERVICE_PROT", "did you mean AUTHSERVICE_PORT?"),
        ("authservice_prot", "AUTHSERVICE_PROT", "did you mean AUTHSERVICE_PORT?"),
        ("AUTHSERVICE_DB_HOST", "AUTHSERVICE_DB_HOST", "did you mean DB_HOST?"),
        ("AUTHSERVICE_JWT_SECRET", "AUTHSERVICE_JWT_SECRET", "did you mean JWT_SECRET?"),
        ("AUTHSERVICE_QQQ", "AUTHSERVICE_QQQ", "`authservice config` lists all there are"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest_setting(
    name: str, shown: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "canary")
    assert strays() == [Stray(f"{shown} is no setting and is ignored", remedy)]


def test_settings_and_variables_of_other_programs_are_no_mistakes(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text("authservice_port=50100\nOTHER=1\nAUTHSERVICE_TEST_SOMETHING=1\n")
    for row in origins(load()):
        monkeypatch.setenv(row.variable, "1")
    assert strays() == []


def test_l1_of_a_misspelt_line_only_the_name_is_shown(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text(f"AUTHSERVICE_MASTER_KEY:{KEYS[0]}\nAUTHSERVICE_PROT=canary\nPORT\n")
    assert list(map(str, strays())) == [
        "AUTHSERVICE_MASTER_KEY... is no setting and is ignored; did you mean AUTHSERVICE_MASTER_KEY?",
        "AUTHSERVICE_PROT is no setting and is ignored; did you mean AUTHSERVICE_PORT?",
    ]
    assert refusal(port="canary").endswith("did you mean AUTHSERVICE_PORT?"), "it may be the cause"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load().insecure = True


@pytest.mark.parametrize("secret", ["short", "j" * 31, "é" * 15])
def test_y4_a_jwt_secret_under_32_bytes_is_refused_by_name(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", secret)
    text = refusal()
    assert text.startswith("JWT_SECRET: must have at least 32 bytes")
    assert secret not in text
    monkeypatch.setenv("JWT_SECRET", "é" * 16)
    assert load().jwt_secret is not None


YES = ["1", "true", "True", "TRUE", "yes", "YES", "on", "On", "t", "T", "y", "Y"]
NO = ["0", "false", "False", "FALSE", "no", "NO", "off", "Off", "f", "F", "n", "N"]
NEITHER = ["2", "-1", "01", "enabled", "disabled", "none", "null", "truee", "true false", '"true"', "ja", "½", "１"]


@pytest.mark.parametrize("text", YES)
def test_x1_every_yes_means_yes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHSERVICE_INSECURE", text)
    assert load(host="0.0.0.0").insecure is True


@pytest.mark.parametrize("text", NO)
def test_x1_every_no_means_no(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHSERVICE_INSECURE", text)
    assert load().insecure is False
    assert "is not loopback" in refusal(host="0.0.0.0")


@pytest.mark.parametrize("text", NEITHER)
def test_x1_anything_else_is_refused_by_name_and_not_guessed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHSERVICE_INSECURE", text)
    assert refusal().startswith("AUTHSERVICE_INSECURE: ")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "::1", "[::1]"])
def test_x1_on_loopback_plaintext_is_allowed(host: str) -> None:
    assert load(host=host).is_loopback


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "[::]",
        "10.0.0.1",
        "auth.internal",
        "128.0.0.1",
        "2001:db8::1",
        "127.0.0.1.example.com",
        "127.example.com",
        "localhost.example.com",
        "localhosts",
        "::1234",
        "::1:2:3",
    ],
)
def test_x1_elsewhere_plaintext_needs_to_be_asked_for(host: str) -> None:
    text = refusal(host=host)
    assert host.strip("[]") in text
    assert "AUTHSERVICE_TLS_CERT_FILE" in text
    assert not load(host=host, insecure=True).is_loopback


def test_x1_half_a_tls_configuration_is_refused() -> None:
    pem = Path("server.pem")
    assert "go together" in refusal(tls_cert_file=pem)
    assert "go together" in refusal(tls_key_file=pem)
    assert "AUTHSERVICE_TLS_CLIENT_CA_FILE needs" in refusal(tls_client_ca_file=pem)
    assert load(host="0.0.0.0", tls_cert_file=pem, tls_key_file=pem, tls_client_ca_file=pem)


def test_x8_reflection_is_open_on_loopback_only_unless_asked_for() -> None:
    assert not load(host="0.0.0.0", insecure=True).has_reflection
    assert load(host="0.0.0.0", insecure=True, reflection="on").has_reflection
    assert not load(reflection="off").has_reflection


@pytest.mark.parametrize("password", [ALL_CHARACTERS, "@", ":", "/", "%", "%2F", "#", "?", " ", "\\", "'", "&x=y"])
def test_a_password_of_any_characters_reaches_the_database(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DB_HOST": "db", "DB_USER": password, "DB_PASSWORD": password, "DB_NAME": "a/b"}.items():
        monkeypatch.setenv(name, value)
    url = make_url(load().database_address().get_secret_value())
    assert (url.username, url.password, url.host, url.port) == (password, password, "db", 3306)
    assert url.query == {}


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("db", "db:3307"),
        ("db1,db2", "db1:3307,db2:3307"),
        ("db1:1, db2 ,10.0.0.3:65535", "db1:1,db2:3307,10.0.0.3:65535"),
        ("::1", "[::1]:3307"),
        ("[::1]:2,[fe80::1],db", "[::1]:2,[fe80::1]:3307,db:3307"),
    ],
)
def test_the_database_may_have_several_hosts(named: str, found: str) -> None:
    address = load(DB_HOST=named, DB_PORT=3307, DB_USER="u").database_address().get_secret_value()
    assert address == f"mysql://u@{found}/authservice"
    rebuilt = ",".join(
        f"[{url.host}]:{url.port}" if ":" in (url.host or "") else f"{url.host}:{url.port}" for url in split(address)
    )
    assert rebuilt == found


@pytest.mark.parametrize("named", ["db1,,db2", ",db", "db:0", "db:65536", "db:x", "db:", "a b", "u@db", "db/x", "[::1"])
def test_a_list_of_hosts_that_is_none_is_refused_by_name(named: str) -> None:
    assert refusal(DB_HOST=named, DB_USER="u").startswith("DB_HOST: must look like")


def test_passwords_may_be_shorter_where_everybody_has_a_second_factor() -> None:
    settings = load(password_min_length=8, require_second_factor="everybody")
    assert settings.password_min_length == 8


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"database_url": "postgresql://host/name"}, "AUTHSERVICE_DATABASE_URL: must look like"),
        ({"database_url": "host/name"}, "AUTHSERVICE_DATABASE_URL: must look like"),
        ({"DB_HOST": "db"}, "DB_USER must be set where DB_HOST is"),
        ({"port": 65536}, "AUTHSERVICE_PORT: "),
        ({"DB_PORT": 0}, "DB_PORT: "),
        ({"bcrypt_cost": 9}, "AUTHSERVICE_BCRYPT_COST: "),
        ({"bcrypt_cost": 31}, "AUTHSERVICE_BCRYPT_COST: "),
        ({"password_min_length": 7}, "AUTHSERVICE_PASSWORD_MIN_LENGTH: "),
        ({"password_min_length": 14}, "AUTHSERVICE_PASSWORD_MIN_LENGTH: must be at least 15, unless"),
        (
            {"password_min_length": 8, "require_second_factor": "roles:admin"},
            "AUTHSERVICE_PASSWORD_MIN_LENGTH: must be at least 15, unless",
        ),
        ({"token_algorithm": "none"}, "AUTHSERVICE_TOKEN_ALGORITHM: "),
        ({"audience": ""}, "AUTHSERVICE_AUDIENCE: "),
        ({"session_idle_seconds": 43201}, "AUTHSERVICE_SESSION_IDLE_SECONDS must not exceed"),
        ({"access_token_seconds": "NaN"}, "AUTHSERVICE_ACCESS_TOKEN_SECONDS: "),
        ({"default_deadline": "inf"}, "AUTHSERVICE_DEFAULT_DEADLINE: "),
    ],
)
def test_an_unusable_setting_is_refused_by_name(overrides: dict[str, Any], says: str) -> None:
    assert refusal(**overrides).startswith(says)


KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]


def test_master_keys_are_a_list_from_a_variable_or_a_file(empty_folder: Path) -> None:
    both = (b"\1" * 32, b"\2" * 32)
    assert load().master_keys() == ()
    for separator in (",", " ", ", ", "\n"):
        assert load(master_key=separator.join(KEYS)).master_keys() == both
    (empty_folder / "keys").write_text("\n".join(KEYS) + "\n")
    assert load(master_key_file=empty_folder / "keys").master_keys() == both


@pytest.mark.parametrize(
    "text",
    ["canary", KEYS[0][:-1], KEYS[0] + ",canary", base64.b64encode(b"k" * 31).decode(), "é" * 44],
    ids=["text", "cut", "one of two", "31 bytes", "not ASCII"],
)
def test_y4_a_master_key_of_another_form_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^AUTHSERVICE_MASTER_KEY: each key must be base64 of 32 bytes") as refused:
        load(master_key=text).master_keys()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"canary", bytes(range(224, 256))], ids=["missing", "text", "raw bytes"])
def test_y4_an_unusable_master_key_file_is_refused_by_name(empty_folder: Path, content: bytes | None) -> None:
    path = empty_folder / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^AUTHSERVICE_MASTER_KEY_FILE: "):
        load(master_key_file=path).master_keys()


ADDRESSES = [
    "mysql://user:canary@host:3306/name",
    "mysql+pymysql://user:canary@host/name",
    "mysql://user:c%40nary-canary@host/name",
    "mysql://user:canary@canary@host/name",
    "mysql://user:p/canary@host/name",
    "mysql://user:p?canary@host/name",
    "mysql://user:p#canary@host/name",
    "mysql://host/name?user=user&password=canary",
    "mysql://user:canary\N{ACCOUNT OF}@host/name",
    "mysql://user:[canary@host/name",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_l1_no_password_of_a_database_address_is_shown(address: str) -> None:
    try:
        settings = load(database_url=address)
    except ConfigError as refused:
        shown = str(refused)
    else:
        shown = f"{settings!r} {settings} {origins(settings)} {without_password(settings.database_address())}"
        assert make_url(address).drivername.startswith("mysql")
    assert "canary" not in shown


def test_l1_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "DB_HOST": "db",
        "DB_USER": "auth",
        "DB_PASSWORD": "canary-one",
        "JWT_SECRET": "canary-two-of-at-least-32-bytes-00",
        "AUTHSERVICE_MASTER_KEY": "canary-three",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    settings = load()
    shown = f"{settings!r} {settings} {settings.model_dump()} {origins(settings)} {settings.database_address()!r}"
    assert "canary" not in shown
    assert "canary" not in settings.model_dump_json()
    for broken in ({"port": "canary"}, {"host": "0.0.0.0"}, {"database_url": "canary"}, {"DB_PORT": "canary"}):
        assert "canary" not in refusal(**broken)


@pytest.mark.parametrize("address", ["sqlite:///data/auth.db", "sqlite:////var/lib/auth.db", "mysql://user@host/name"])
def test_an_address_without_a_password_is_shown_as_it_is(address: str) -> None:
    assert without_password(SecretStr(address)) == address


def test_every_setting_is_listed_with_its_variable_and_a_description() -> None:
    rows = origins(load())
    assert len({row.variable for row in rows}) == len(rows) == len(config.Settings.model_fields)
    assert all(row.description for row in rows)
    assert all(row.variable.startswith(("AUTHSERVICE_", "DB_", "JWT_SECRET")) for row in rows)
    assert "DB_HOST" not in os.environ


SERVER = {"DB_HOST": "db1", "DB_USER": "auth", "DB_PASSWORD": "canary", "DB_NAME": "users", "DB_PORT": "3307"}


@pytest.mark.parametrize("given", [["DB_USER"], ["DB_PASSWORD"], ["DB_NAME"], ["DB_PORT"], ["DB_USER", "DB_PASSWORD"]])
def test_half_of_a_database_server_is_refused_and_not_taken_for_the_embedded_one(
    given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in given:
        monkeypatch.setenv(name, SERVER[name])
    text = refusal()
    assert text.startswith("DB_HOST must be set where ")
    assert all(name in text for name in given)
    assert "canary" not in text
    monkeypatch.setenv("AUTHSERVICE_DATABASE_URL", "sqlite:///data/authservice.db")
    assert load().is_sqlite, "who says so means it"


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("DB_HOTS", "DB_HOST"),
        ("DB_HOSTNAME", "DB_HOST"),
        ("DB_USERNAME", "DB_USER"),
        ("DB_PASS", "DB_PASSWORD"),
        ("DB_NAEM", "DB_NAME"),
        ("JWT_SECRT", "JWT_SECRET"),
    ],
)
def test_a_slip_in_one_of_the_node_applications_variables_is_named(
    slip: str, meant: str, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {name: value for name, value in SERVER.items() if name != meant}
    (empty_folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in {**others, slip: "x"}.items()))
    assert list(map(str, strays())) == [f"{slip} is no setting and is ignored; did you mean {meant}?"]
    if meant == "DB_HOST":
        assert refusal().endswith(str(strays()[0]))
    monkeypatch.setenv(meant, SERVER.get(meant, "j" * 32))
    assert strays() == [], "one that is near to what is set is another program's"


def test_other_variables_of_the_node_application_are_no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DB_DIALECT", "DB_POOL_MAX", "DB_CONNECTION", "DB_SSL", "JWT_EXPIRES_IN", "JWT_ISSUER"):
        monkeypatch.setenv(name, "1")
    assert strays() == []


OF_KUBERNETES = {
    "AUTHSERVICE_PORT": "tcp://10.96.0.7:50051",
    "AUTHSERVICE_SERVICE_HOST": "10.96.0.7",
    "AUTHSERVICE_SERVICE_PORT": "50051",
    "AUTHSERVICE_SERVICE_PORT_GRPC": "50051",
    "AUTHSERVICE_PORT_50051_TCP": "tcp://10.96.0.7:50051",
    "AUTHSERVICE_PORT_50051_TCP_PROTO": "tcp",
    "AUTHSERVICE_PORT_50051_TCP_PORT": "50051",
    "AUTHSERVICE_PORT_50051_TCP_ADDR": "10.96.0.7",
    "AUTHSERVICE_GRPC_PORT": "tcp://[fd00::7]:50051",
    "AUTHSERVICE_GRPC_SERVICE_HOST": "fd00::7",
    "DB_PORT": "tcp://10.96.0.8:3306",
    "DB_SERVICE_HOST": "10.96.0.8",
    "DB_SERVICE_PORT": "3306",
    "DB_PORT_3306_TCP_ADDR": "10.96.0.8",
}


def test_what_kubernetes_says_of_services_is_neither_setting_nor_mistake(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OF_KUBERNETES.items():
        monkeypatch.setenv(name, value)
    assert load().port == 50051
    assert load().is_sqlite
    assert {row.source for row in origins(load())} == {"default"}
    assert strays() == []
    (empty_folder / ".env").write_text("AUTHSERVICE_PORT=50100\n")
    assert load().port == 50100, "what is meant is said in the file, or by --port"
    monkeypatch.setenv("AUTHSERVICE_PORT", "50200")
    assert load().port == 50200


@pytest.mark.parametrize(
    "content",
    ["DB_HOST=db".encode("utf-16"), "DB_HOST=db".encode("utf-16-le"), b"DB_HOST=\xff", b"DB_HOST=\0"],
    ids=["UTF-16", "UTF-16 without its mark", "Latin-1", "NUL"],
)
def test_a_dotenv_file_of_another_encoding_is_refused_by_name(empty_folder: Path, content: bytes) -> None:
    (empty_folder / ".env").write_bytes(content)
    assert refusal() == ".env: is not UTF-8 text. Save it as UTF-8."


def test_a_dotenv_file_may_have_a_mark_and_a_folder_may_have_its_name(empty_folder: Path) -> None:
    (empty_folder / ".env").mkdir()
    assert load().port == 50051
    (empty_folder / ".env").rmdir()
    (empty_folder / ".env").write_bytes(b"\xef\xbb\xbfAUTHSERVICE_PORT=50100\r\n")
    assert load().port == 50100


def test_a_line_that_cannot_be_read_is_named_with_its_file_and_without_its_text(
    empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / ".env").write_text("# settings\n\nAUTHSERVICE_PORT=50100\n\nDB_PASSWORD 'canary'\n")
    assert load().port == 50100
    assert list(map(str, strays())) == [".env line 5 cannot be read and is ignored; write it as NAME=value"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("sqlite:///data/auth.db", "{folder}/data/auth.db"),
        ("sqlite:////srv/auth.db?timeout=3", "/srv/auth.db"),
        ("sqlite+pysqlite:///auth.db", "{folder}/auth.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///file:auth?mode=memory&uri=true", None),
        ("mysql://host/name", None),
    ],
)
def test_where_the_embedded_database_is(empty_folder: Path, address: str, file: str | None) -> None:
    found = load(database_url=address).database_file
    assert found == (Path(file.format(folder=empty_folder)) if file else None)
