"""What is seen: plain lines without a flood, durations in words, commands that can be typed."""

import contextlib
import io
import time
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from loadingbay.screen import progress as module
from loadingbay.screen.progress import Part, Screen, duration, typed
from pipelines.executions import Execution, Step
from pipelines.training_log import Epoch, Overall

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def output():
    return io.StringIO()


@pytest.fixture
def screen(output, monkeypatch):
    """A screen whose parts take no time."""
    monkeypatch.setattr(Part, "seconds", 0.0)
    return Screen(Console(file=output, width=100, highlight=False))


def _step(name, status, cached=False, failure=""):
    ended = NOON + timedelta(seconds=72) if status in {"Succeeded", "Failed"} else None
    return Step(name, "TrainingJob", status, NOON, ended, cached, failure, "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (8.21, "8.2 s"), (59.97, "1 min 0 s"), (72, "1 min 12 s"), (7500, "2 h 5 min")],
)
def test_a_duration_is_in_words(seconds, text):
    assert duration(seconds) == text


def _short(monkeypatch, seconds):
    monkeypatch.setattr(module, "_SHORT_SECONDS", seconds)


def test_a_short_part_has_one_line(screen, output):
    with screen.part("Application") as part:
        screen.note(part, "changing the stack")
        screen.note(part, "the stack was created")
    assert output.getvalue() == "Application: the stack was created, 0.0 s\n"


def test_a_part_that_takes_long_says_that_it_began(screen, output, monkeypatch):
    _short(monkeypatch, 0.001)
    with screen.part("Data") as part:
        while not output.getvalue():
            time.sleep(0.001)
        part.note = "CIFAR-100"
    assert output.getvalue().splitlines() == ["Data ...", "Data: CIFAR-100, 0.0 s"]


def test_the_last_line_of_a_part_does_not_repeat_the_one_before(screen, output, monkeypatch):
    _short(monkeypatch, 0)
    monkeypatch.setattr(module, "_LINE_SECONDS", 0)
    for failing in (False, True):
        with contextlib.suppress(ValueError), screen.part("Pipeline") as part:
            screen.note(part, "execution one")
            if failing:
                raise ValueError
    said = [line for line in output.getvalue().splitlines() if line != "Pipeline ..."]
    assert said == [
        "Pipeline: execution one",
        "Pipeline: done, 0.0 s",
        "Pipeline: execution one",
        "Pipeline: failed, 0.0 s",
    ]


def test_a_part_that_raises_is_shown_as_failed(screen, output):
    with contextlib.suppress(ValueError), screen.part("Data") as part:
        part.note = "reading"
        raise ValueError
    assert output.getvalue() == "Data: failed, reading, 0.0 s\n"


@pytest.mark.parametrize("width", [60, 100])
def test_on_a_terminal_a_long_note_costs_neither_marks_nor_names(output, width):
    terminal = Console(file=output, width=width, force_terminal=True, color_system=None)
    screen = Screen(terminal)
    note = "CIFAR100_ARCHIVE=" + "/a-folder" * 12
    with screen:
        with screen.part("Data") as part:
            part.note = note
        with screen.part("Pipeline"):
            screen.update(Execution("arn", "Succeeded", "", (_step("AlreadyRegistered", "Succeeded"),)))
        terminal.print(screen)
        assert "…" in output.getvalue()
        output.truncate(output.seek(0))
    last = output.getvalue().split("\x1b[2K")[-1]
    assert "✔  Data" in last
    assert "AlreadyRegistered" in last
    assert note in "".join(line[-width:].strip().split("  ")[-1] for line in last.splitlines()[:8])


def test_a_hundred_notes_in_a_moment_are_not_a_hundred_lines(screen, output):
    with screen.part("Photos") as part:
        for number in range(100):
            screen.note(part, f"{number} of 100 classified")
    assert len(output.getvalue().splitlines()) <= 3


def test_a_hundred_epochs_in_a_moment_are_one_line(screen, output):
    for number in range(1, 101):
        screen.update(Epoch("final", number, 100, 0.5, 0.9))
    assert len(output.getvalue().splitlines()) == 1


def test_a_step_is_told_once_for_each_state(screen, output):
    for status in ("Executing", "Executing", "Succeeded", "Succeeded"):
        screen.update(Execution("arn", "Executing", "", (_step("Train", status),)))
    assert output.getvalue().splitlines() == ["  Train: running", "  Train: done in 1 min 12 s"]


@pytest.mark.parametrize(("outcome", "told"), [("True", "yes"), ("False", "no")])
def test_a_condition_tells_its_outcome(screen, output, outcome, told):
    step = Step("AlreadyRegistered", "Condition", "Succeeded", NOON, NOON, False, "", "", outcome)
    screen.update(Execution("arn", "Succeeded", "", (step,)))
    assert output.getvalue() == f"  AlreadyRegistered: {told}\n"


def test_a_cached_step_and_a_failed_one_say_so(screen, output):
    steps = (_step("Stage", "Succeeded", cached=True), _step("Train", "Failed", failure="ValueError:\n  no photos"))
    screen.update(Execution("arn", "Failed", "", steps))
    assert "Stage: nothing changed: taken from the cache" in output.getvalue()
    assert "Train: failed: ValueError: no photos" in output.getvalue()


def test_on_a_terminal_the_steps_and_the_epochs_are_in_the_picture(output):
    terminal = Console(file=output, width=100, force_terminal=True, color_system=None)
    screen = Screen(terminal)
    with screen.part("Pipeline"):
        screen.update(Execution("arn", "Executing", "", (_step("Train", "Executing"),)))
        screen.update(Epoch("fold-1/3", 30, 60, 0.25, 0.91))
        terminal.print(screen)
    shown = output.getvalue()
    assert "fold-1/3 ━━━━━━╌╌╌╌╌╌  30/60  loss 0.250  accuracy 0.910" in shown
    assert "Register" in shown


def test_a_training_job_that_says_how_far_it_is_has_one_line(output):
    terminal = Console(file=output, width=100, force_terminal=True, color_system=None)
    screen = Screen(terminal)
    with screen.part("Pipeline"):
        screen.update(Execution("arn", "Executing", "", (_step("Train", "Executing"),)))
        screen.update(Epoch("fold-2/3", 20, 30, 0.25, 0.91, Overall(2, 4, 58, 24)))
        screen.update(Epoch("final", 15, 30, 0.25, None, Overall(3, 4, 62, 20)))
        terminal.print(screen)
    shown = output.getvalue()
    assert "━━━━━━━╌╌╌╌╌ 3 of 4 fits, 62 %, 20 s left" in shown
    assert "2 of 4" not in shown.split("3 of 4")[-1]
    assert "fold-2/3" not in shown


def test_commands_in_a_sentence_are_written_as_they_can_be_typed(monkeypatch):
    monkeypatch.setattr(module, "command", lambda name="loadingbay": f".venv/bin/{name}")
    assert (
        typed("do `loadingbay up` and `aws configure`") == "do `.venv/bin/loadingbay up` and `.venv/bin/aws configure`"
    )


def test_a_second_execution_is_told_from_its_beginning(screen, output):
    with screen.part("Pipeline"):
        screen.update(Execution("one", "Succeeded", "", (_step("Stage", "Succeeded"),)))
    with screen.part("Pipeline"):
        screen.update(Execution("two", "Executing", "", (_step("Stage", "Succeeded"),)))
    assert output.getvalue().count("Stage: done in") == 2


def test_steps_are_drawn_below_the_newest_pipeline(output):
    terminal = Console(file=output, width=100, force_terminal=True, color_system=None)
    screen = Screen(terminal)
    for arn in ("one", "two"):
        with screen.part("Pipeline"):
            screen.update(Execution(arn, "Succeeded", "", (_step("Stage", "Succeeded"),)))
    terminal.print(screen)
    names = [line.split()[0] for line in output.getvalue().replace("✔", "").splitlines() if line.strip()]
    assert names == ["Pipeline", "Pipeline", "Stage"]
