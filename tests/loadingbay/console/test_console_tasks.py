"""Work that takes longer than a request: its end, its failure, and that old work is forgotten."""

from loadingbay.console.tasks import Tasks
from loadingbay.errors import WorkError
from tests.waiting import soon


def _ended(task):
    soon(lambda: task.state != "running")
    return task


def test_a_task_has_its_parts_and_its_result():
    def do(task):
        with task.screen.part("Photos") as part:
            part.note = "4 uploaded"
        return 7

    task = _ended(Tasks().start("bulk", "4 photos", do))
    assert (task.state, task.result, task.failure) == ("done", 7, "")
    assert [(part.name, part.state, part.note) for part in task.parts] == [("Photos", "done", "4 uploaded")]


def test_a_failed_task_says_why():
    def do(_):
        raise WorkError("the disk is full")

    task = _ended(Tasks().start("bulk", "4 photos", do))
    assert (task.state, task.failure) == ("failed", "the disk is full")


def test_only_the_newest_ended_tasks_are_kept(monkeypatch):
    monkeypatch.setattr("loadingbay.console.tasks._KEPT", 2)
    tasks = Tasks()
    started = [_ended(tasks.start("bulk", str(number), lambda _: None)) for number in range(4)]
    assert tasks.get(started[0].id) is None
    assert [task.title for task in tasks.of("bulk")] == ["3", "2", "1"]
