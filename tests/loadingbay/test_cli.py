"""The command line from outside: help at once, exit codes, one sentence for an error, and a complete reference."""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from loadingbay.cli import cli
from loadingbay.options import OneOf
from loadingbay.reference import page
from pipelines.parameters import PARAMETERS
from tests.free_ports import free_port

ROOT = Path(__file__).resolve().parents[2]
INSTEAD = """
import os, sys, click
from loadingbay import cli
from loadingbay.screen import results

def broken():
    reading, writing = os.pipe()
    os.close(reading)
    return writing

@cli.cli.command()
def instead():
    {}

sys.argv[1:] = ["instead"]
cli.main()
"""  # the command line with a command that does something else


@pytest.fixture
def call(tmp_path, request):
    """Runs the command in a folder of its own, where no local cloud runs."""
    port = free_port()

    def call(*arguments, piped="", **variables):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(request.config.rootpath),
            "LOADINGBAY_FOLDER": str(tmp_path),
            "LOADINGBAY_PORT": str(port),
            **variables,
        }
        command = [sys.executable, "-m", "loadingbay.cli", *arguments]
        return subprocess.run(
            ["bash", "-c", f"{shlex.join(command)} | {piped}"] if piped else command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
            check=False,
        )

    return call


def test_help_imports_nothing_that_takes_time():
    program = (
        "import sys\n"
        "from loadingbay.cli import cli\n"
        "try: cli.main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'boto3', 'botocore', 'rich', 'sagemaker', 'numpy', 'PIL', 'httpx'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", list(cli.commands))
def test_every_command_has_help(name):
    answer = CliRunner().invoke(cli, [name, "--help"])
    assert answer.exit_code == 0
    assert cli.commands[name].help.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["approve"],
        ["approve", "zero"],
        ["approve", "0"],
        ["run", "--epochs", "0"],
        ["run", "--learning-rate", "fast"],
        ["run", "--classes", "bicycle"],
        ["run", "--data", "/no/such/archive"],
        ["classify"],
        ["classify", "/no/such/photo.png"],
        ["deploy", "--parameter", "Name"],
        ["--cloud", "azure", "status"],
    ],
)
def test_wrong_use_is_exit_code_2(call, arguments):
    answer = call(*arguments)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert answer.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["monitor", "--history", "3"], "3: monitor takes no argument"),
        (["approve", "1", "2"], "2: approve takes no more than VERSION"),
        (["label", "id", "bicycle", "too", "many"], "too many: label takes no more than [INFERENCE_ID] [TRUTH]"),
    ],
)
def test_arguments_that_a_command_does_not_take_are_named(arguments, says):
    answer = CliRunner().invoke(cli, arguments)
    assert answer.exit_code == 2
    assert answer.stderr.splitlines()[-1] == f"Error: {says}"
    assert answer.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["approve", "1"], ["reject", "1"], ["monitor"], ["logs"], ["deploy"], ["build"], ["logs", "cloud"]]
)
def test_a_command_that_needs_the_cloud_says_how_to_start_it_and_fails(call, arguments):
    answer = call(*arguments)
    assert answer.returncode == 1
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "up` starts it" in answer.stderr or "has written no log" in answer.stderr


def test_status_of_a_cloud_that_does_not_run_is_no_error(call):
    answer = call("status", "--json")
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["cloud"]["running"] is False
    assert answer.stderr == ""


def test_an_option_out_of_range_names_option_value_and_range(call):
    assert "--target-precision 1.5: must be 0.5 to 0.999" in call("run", "--target-precision", "1.5").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["card", "x"], "VERSION x: must be a whole number, at least 1"),
        (["card", "1.5"], "VERSION 1.5: must be a whole number, at least 1"),
        (["card", "0"], "VERSION 0: must be at least 1"),
        (["card", "1_0"], "VERSION 1_0: must be a whole number, at least 1"),
        (["card", "\u0661"], "VERSION \u0661: must be a whole number, at least 1"),
        (["approve", "1", "--share", "0_1"], "--share 0_1: must be a number, above 0 to 1"),
        (["threshold", "--at", "0_1"], "--at 0_1: a threshold is a number from 0 to 1, or 1.01 to accept nothing"),
        (["tune", "--epochs", "1_0:20"], "--epochs 1_0: must be a whole number, 1 to 1,000"),
        (["history", "--limit", "1001"], "--limit 1001: must be 1 to 1,000"),
        (["approve", "1", "--share", "0"], "--share 0: must be above 0 to 1"),
        (["approve", "1", "--share", "nan"], "--share nan: must be above 0 to 1"),
        (["approve", "1", "--share", "x"], "--share x: must be a number, above 0 to 1"),
        (["tune", "--objective", "loss"], "--objective loss: must be nll or accuracy"),
        (["--cloud", "mars", "up"], "--cloud mars: must be local or aws"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(words, said):
    answer = CliRunner().invoke(cli, words)
    assert answer.exit_code == 2
    assert answer.output.splitlines()[-1] == f"Error: {said}"


@pytest.mark.parametrize("name", list(cli.commands))
def test_no_command_tells_of_a_wrong_value_in_the_words_of_click(name):
    for parameter in cli.commands[name].params:
        assert not isinstance(parameter.type, (type(click.INT), type(click.FLOAT), click.types.DateTime))
        assert not isinstance(parameter.type, click.Choice) or isinstance(parameter.type, OneOf)


def test_the_traceback_is_there_only_when_it_is_asked_for(call):
    assert "Traceback" not in call("monitor").stderr
    assert "Traceback" in call("monitor", LOADINGBAY_DEBUG="1").stderr


def test_an_endpoint_that_does_not_answer_is_named(call):
    answer = call(
        "status",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="a",
        AWS_SECRET_ACCESS_KEY="b",
        AWS_DEFAULT_REGION="us-east-1",
    )
    assert answer.returncode == 1
    assert "nothing answers at http://127.0.0.1:9" in answer.stderr


def test_up_and_down_are_for_the_local_cloud_only(call):
    for name in ("up", "down"):
        answer = call(name, LOADINGBAY_CLOUD="aws", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
        assert answer.returncode == 2


def test_down_when_nothing_runs_is_done(call):
    answer = call("down")
    assert answer.returncode == 0
    assert answer.stderr.strip() == "it was not running"


def test_run_has_an_option_for_each_parameter_of_the_table():
    flags = {flag for option in cli.commands["run"].params for flag in option.opts}
    assert {p.flag for p in PARAMETERS if p.option} <= flags


def test_the_reference_in_the_docs_is_what_the_commands_say(request):
    # In a process of its own: click remembers the help option of a command that another test called alone.
    written = subprocess.run(
        [sys.executable, "-m", "loadingbay.reference"], capture_output=True, text=True, check=True
    ).stdout
    path = request.config.rootpath / "docs" / "cli.md"
    assert path.read_text() == written, "run: python -m loadingbay.reference > docs/cli.md"


def test_the_reference_names_every_command_and_every_option():
    text = page()
    for name, command in cli.commands.items():
        assert f"## `loadingbay {name}" in text
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert f"`{parameter.opts[0]}" in text, (name, parameter.opts)


def test_a_terminal_without_unicode_does_not_end_a_command(call):
    answer = call("up", "--nonsense\N{CHECK MARK}", PYTHONIOENCODING="latin-1")
    assert "UnicodeEncodeError" not in answer.stderr
    assert answer.returncode == 2


def test_a_reader_who_has_gone_gets_no_error(call, tmp_path):
    log = tmp_path / ".loadingbay" / "cloud" / "localcloud.log"
    log.parent.mkdir(parents=True)
    log.write_text("a line\n" * 100_000)
    answer = call("logs", "cloud", piped="head -n 1")
    assert (answer.stdout, answer.stderr) == ("a line\n", "")


@pytest.fixture
def unread(call, tmp_path):
    """Runs the command with an output that nobody reads; its exit code and what it said on stderr."""

    def unread(*arguments, command=(sys.executable, "-m", "loadingbay.cli")):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as output:
            done = subprocess.run(
                [*command, *arguments], stdout=output, stderr=subprocess.PIPE, text=True, timeout=300, check=False,
                env={**os.environ, "LOADINGBAY_FOLDER": str(tmp_path), "PYTHONPATH": str(ROOT)}
            )  # fmt: skip
        return done.returncode, done.stderr

    return unread


@pytest.mark.parametrize("name", list(cli.commands))
def test_each_command_ends_quietly_when_nobody_reads_it(unread, name):
    assert unread(name, "--help") == (141, "")


@pytest.mark.parametrize("how", ["click.echo('x' * 9)", "results.console().print('x')", "print('x' * 99_999)"])
def test_whatever_prints_ends_quietly_when_nobody_reads_it(unread, how):
    assert unread(command=(sys.executable, "-c", INSTEAD.format(how))) == (141, "")


def test_a_pipe_that_is_not_our_output_is_an_error_that_is_told():
    program = INSTEAD.format("os.write(broken(), b'x')")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: Broken pipe\n")


@pytest.mark.parametrize(
    ("disposition", "code", "said"), [(signal.SIG_IGN, 0, "went on\n"), (signal.SIG_DFL, 130, "\ninterrupted\n")]
)
def test_a_terminal_that_closes_ends_a_command_except_below_nohup(disposition, code, said):
    program = INSTEAD.format("os.kill(os.getpid(), 1), click.echo('went on', err=True)")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, disposition),  # the tests themselves may run below nohup
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, said)


def test_nobody_else_may_write_to_what_a_command_makes(tmp_path):
    program = INSTEAD.format("open('made', 'w').close()")
    subprocess.run([sys.executable, "-c", program], umask=0, timeout=300, check=True, cwd=tmp_path)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o644


def test_a_command_runs_with_its_output_closed(call, tmp_path):
    closed = f"{shlex.quote(sys.executable)} -m loadingbay.cli --version >&-"
    done = subprocess.run(["bash", "-c", closed], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_what_a_command_opens_does_not_take_the_place_of_a_closed_output(closed):
    program = INSTEAD.format("results.console().print('x'), os._exit(os.open('.', 0) if sys.stdin else 1)")
    line = f"{shlex.join([sys.executable, '-c', program])} {closed}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert (done.returncode > 2, done.stderr) == (True, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["classify", ""], "'': must name a photo"),
        (["classify", "s3://b/a.png"], "s3://b/a.png: must name a photo, not an address: `loadingbay bulk`"),
        (["classify", "file:///a.png"], "file:///a.png: must name a photo, not an address"),
        (["run", "--data", "s3://b/photos/"], "--data s3://b/photos/: must name an archive .*copy it to this machine"),
        (["tune", "--data", "HTTPS://h/a.tar.gz"], "--data HTTPS://h/a.tar.gz: must name an archive"),
        (["label", "--file", ""], "--file '': must name a file of labels"),
        (["label", "--file", "s3://b/l.jsonl"], "--file s3://b/l.jsonl: must name a file of labels, not an address"),
        (["pretrain", "--output", ""], "--output '': must name a file"),
    ],
)
def test_a_path_that_is_empty_or_an_address_is_refused_as_it_was_typed(arguments, said):
    answer = CliRunner().invoke(cli, arguments)

    assert answer.exit_code == 2
    assert re.search(said, " ".join(answer.output.split()))


@pytest.mark.parametrize("command", ["run", "tune", "pretrain"])
def test_an_empty_path_to_data_is_not_the_current_folder(command):
    answer = CliRunner().invoke(cli, [command, "--data", ""])

    assert answer.exit_code == 2
    assert "--data '': must name an archive or a folder" in answer.output
