"""What is seen: plain lines without a flood, durations in words, commands that can be typed."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from loadingbay.screen import progress as module
from loadingbay.screen.progress import Screen, duration, typed
from pipelines.executions import Execution, Step
from pipelines.training_log import Epoch, Overall

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def output():
    return io.StringIO()


@pytest.fixture
def screen(output):
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


def test_a_part_says_when_it_begins_and_how_it_ended(screen, output):
    with screen.part("Data") as part:
        part.note = "CIFAR-100"
    assert output.getvalue().splitlines() == ["Data ...", "Data: CIFAR-100, 0.0 s"]


def test_a_part_that_raises_is_shown_as_failed(screen, output):
    with pytest.raises(ValueError), screen.part("Data"):
        raise ValueError
    assert "Data: failed, 0.0 s" in output.getvalue()


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
