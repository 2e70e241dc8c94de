"""Which cloud a command talks to: AWS never by accident."""

import socket
from pathlib import Path

import botocore.endpoint
import pytest
from botocore.exceptions import EndpointConnectionError

from loadingbay.errors import UsageError, WorkError
from loadingbay.target import Target, choose

HERE = Path("/project")


def test_with_nothing_set_it_is_the_local_cloud_of_the_folder():
    target = choose({}, HERE)
    assert (target.kind, target.endpoint_url) == ("local", "http://127.0.0.1:4747")
    assert target.home == HERE / ".loadingbay" / "cloud"


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_PROFILE": "production"},
        {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"},
        {"AWS_DEFAULT_REGION": "eu-central-1"},
    ],
)
def test_aws_credentials_in_the_environment_do_not_select_aws(environment):
    target = choose(environment, HERE)
    assert target.kind == "local"
    credentials = target.client("s3")._request_signer._credentials
    assert credentials.access_key == "000000000000"
    assert credentials.token is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_PROFILE", "nope"),
        ("AWS_PROFILE", ""),
        ("AWS_DEFAULT_PROFILE", "nope"),
        ("AWS_CONFIG_FILE", "{broken}"),
        ("AWS_CONFIG_FILE", "{accelerate}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "{broken}"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "bogus"),
        ("AWS_DEFAULTS_MODE", "bogus"),
        ("AWS_RETRY_MODE", "bogus"),
        ("AWS_MAX_ATTEMPTS", "many"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "bogus"),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "bogus"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"),
        ("AWS_DATA_PATH", "/nowhere"),
        ("HOME", "{home}"),
    ],
)
def test_settings_of_an_aws_account_do_not_reach_the_local_cloud(monkeypatch, tmp_path, name, value):
    (tmp_path / "broken").write_text("[[[not ini\n")
    (tmp_path / "accelerate").write_text("[default]\ns3 =\n  use_accelerate_endpoint = true\n")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nregion\n\xff")
    given = {"broken": tmp_path / "broken", "accelerate": tmp_path / "accelerate", "home": tmp_path}
    monkeypatch.setenv(name, value.format(**given))
    s3 = choose({name: value}, HERE).client("s3")
    assert s3.meta.endpoint_url == "http://127.0.0.1:4747"
    assert s3.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"}).startswith("http://127.0.0.1:4747/b/k?")


def test_the_exports_of_up_choose_the_local_cloud_that_printed_them(tmp_path):
    (tmp_path / ".loadingbay" / "cloud").mkdir(parents=True)
    exports = choose({"LOADINGBAY_PORT": "4999"}, tmp_path).environment
    target = choose(exports, tmp_path)
    assert (target.kind, target.port, target.endpoint_url) == ("local", 4999, "http://127.0.0.1:4999")


def test_keys_are_in_no_text_that_could_reach_a_log():
    target = choose(
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hidden"}, HERE
    )
    assert target.keys.secret_access_key == "hidden"
    assert "hidden" not in repr(target)


def test_a_test_gives_clients_of_its_own():
    s3 = object()
    assert Target("aws", None, "us-east-1", clients={"s3": s3}).client("s3") is s3


def test_aws_is_selected_only_when_it_is_asked_for():
    assert choose({"LOADINGBAY_CLOUD": "aws"}, HERE).kind == "aws"
    assert choose({}, HERE, "aws").kind == "aws"


def test_a_second_stage_is_named_by_the_option_or_the_variable():
    assert choose({}, HERE).stage == "loadingbay"
    assert choose({"LOADINGBAY_STAGE": "bay-two"}, HERE).stage == "bay-two"
    assert choose({"LOADINGBAY_STAGE": "bay-two", "LOADINGBAY_CLOUD": "aws"}, HERE, stage="three").stage == "three"


@pytest.mark.parametrize("name", ["Bay", "-bay", "bay-", "b", "a" * 25, "bay_two"])
def test_a_stage_that_the_template_would_refuse_is_refused_at_once(name):
    with pytest.raises(UsageError, match=f"stage {name}: must be 2 to 24"):
        choose({"LOADINGBAY_STAGE": name}, HERE)


def test_the_option_wins_over_the_variable():
    assert choose({"LOADINGBAY_CLOUD": "aws"}, HERE, "local").kind == "local"


def test_the_environments_endpoint_is_used_with_its_credentials():
    target = choose({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"}, HERE)
    assert (target.kind, target.endpoint_url, target.home) == ("endpoint", "http://127.0.0.1:4566", None)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"LOADINGBAY_CLOUD": "azure"}, "LOADINGBAY_CLOUD=azure: must be aws or local"),
        ({"LOADINGBAY_PORT": "http"}, "LOADINGBAY_PORT=http: must be a port number"),
        ({"LOADINGBAY_PORT": "80"}, "LOADINGBAY_PORT=80: must be a port number from 1024"),
        ({"LOADINGBAY_PORT": "70000"}, "LOADINGBAY_PORT=70000"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:4566"}, "must start with http"),
        ({"AWS_ENDPOINT_URL": "http://["}, r"AWS_ENDPOINT_URL=http://\[: must be an address such as"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:a"}, "AWS_ENDPOINT_URL=http://127.0.0.1:a: must be an address"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, "must be an address such as"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "LOADINGBAY_CLOUD": "aws"}, "unset one of them"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name_and_value(environment, says):
    with pytest.raises(UsageError, match=says):
        choose(environment, HERE)


def test_the_port_of_the_environment_is_the_one_in_the_address():
    assert choose({"LOADINGBAY_PORT": "5001"}, HERE).endpoint_url == "http://127.0.0.1:5001"


def test_looking_often_is_for_this_machine_only():
    assert choose({}, HERE).interval < 1
    assert choose({"LOADINGBAY_CLOUD": "aws"}, HERE).interval >= 5
    assert choose({"AWS_ENDPOINT_URL": "https://example.com"}, HERE).interval >= 5


def test_the_variables_for_other_tools_point_at_the_local_cloud():
    environment = choose({"LOADINGBAY_PORT": "5001"}, HERE).environment
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5001"
    assert choose({**environment}, HERE).endpoint_url == "http://127.0.0.1:5001"


def test_a_client_is_made_once():
    target = choose({}, HERE)
    assert target.client("s3") is target.client("s3")


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert choose({}, HERE).client("s3").meta.config.proxies == {}


def test_enforcement_of_iam_is_asked_for_by_the_environment(tmp_path):
    assert choose({"LOADINGBAY_ENFORCE_IAM": "1"}, tmp_path).enforce_iam
    assert not choose({"LOADINGBAY_ENFORCE_IAM": "0"}, tmp_path).enforce_iam
    assert not choose({}, tmp_path).enforce_iam


def test_a_wrong_value_for_enforcement_is_named(tmp_path):
    with pytest.raises(UsageError, match="LOADINGBAY_ENFORCE_IAM=yes: must be 1 or 0"):
        choose({"LOADINGBAY_ENFORCE_IAM": "yes"}, tmp_path)


@pytest.mark.parametrize("environment", [{}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4747"}])
def test_the_local_clouds_key_is_read_from_its_home(tmp_path, environment):
    home = tmp_path / ".loadingbay" / "cloud"
    home.mkdir(parents=True)
    (home / "credentials").write_text("[default]\naws_access_key_id = 0\naws_secret_access_key = of this home\n")

    target = choose(environment, tmp_path)

    assert target.client("s3")._request_signer._credentials.secret_key == "of this home"
    assert target.environment.get("AWS_SECRET_ACCESS_KEY", "of this home") == "of this home"


def test_a_closed_port_of_this_machine_is_said_without_retries(monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(botocore.endpoint.time, "sleep", pauses.append)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, so that nobody else takes it, and closed: nothing listens
        target = choose({"LOADINGBAY_PORT": str(taken.getsockname()[1])}, HERE)
        with pytest.raises(EndpointConnectionError):
            target.client("sqs").list_queues()
    assert pauses == []


@pytest.mark.parametrize("content", [b"no sections", b"[default", b"\xff\xfe"])
def test_a_broken_file_of_the_key_is_named_with_what_mends_it(tmp_path, content):
    home = tmp_path / ".loadingbay" / "cloud"
    home.mkdir(parents=True)
    (home / "credentials").write_bytes(content)
    with pytest.raises(WorkError, match="credentials is no file of credentials: stop the local cloud with"):
        choose({}, tmp_path).client("s3")
