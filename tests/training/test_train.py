"""train.py as a job runs it: the same bytes for the same seed, resumed to the bit, several hosts, failures in words."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import inference
import numpy as np
import outliers
import phases
import pytest
import quantization
import records
import second
import train

from tests.free_ports import free_port
from tests.training import channels, tiny
from tests.training.tiny import FLAGS


@pytest.fixture(scope="module")
def channel(tiny_channel: Path) -> Path:
    return tiny_channel


def _run(channel: Path, job: Path, *more: str) -> str:
    """Run a job in this process, which has imported MXNet, as training does; what it printed."""
    with redirect_stdout(StringIO()) as log:
        assert train.main(tiny.flags(channel, job, *more)) == 0
    return log.getvalue()


def _contents(job: Path) -> dict[str, bytes]:
    model = job / "model"
    return {str(path.relative_to(model)): path.read_bytes() for path in sorted(model.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def trained(tiny_job: tuple[Path, str]) -> tuple[Path, str]:
    return tiny_job


@contextmanager
def _few_outliers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outliers, "CROPS", 50)
        patch.setattr(quantization, "OUTLIERS", 8)
        yield


@pytest.fixture
def few() -> Iterator[None]:
    """Fewer pictures that show none of the classes, for tests whose point they are not."""
    with _few_outliers():
        yield


SHORT = ("--epochs", "1", "--second-opinion-below", "0")


def _weights(channel: Path, job: Path, *more: str) -> bytes:
    """The small network's weights after one epoch."""
    _run(channel, job, *SHORT, *more)
    return _contents(job)[inference.PARAMETERS]


@pytest.fixture(scope="module")
def short(channel: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights after one epoch with no other flags, and with as few pictures as `few` makes."""
    with _few_outliers():
        return _weights(channel, tmp_path_factory.mktemp("short"))


def test_the_artifact_is_whole_and_answers(trained: tuple[Path, str]) -> None:
    model = inference.model_fn(str(trained[0] / "model"))
    answers = inference.predict_fn(np.zeros((3, 32, 32, 3), np.uint8), model)
    assert answers.shape == (3, 5)
    assert np.allclose(answers[:, :2].sum(axis=1), 1, atol=1e-6)
    assert set(answers[:, 3]) <= {0, 1}
    assert model.about["second_opinion"]["below"] == 0.995
    assert 0 < model.about["out_of_fold"]["asked"] <= 1
    assert set(model.about) >= {
        "classes", "image_size", "mean", "std", "temperature", "threshold", "in_distribution_threshold",
        "outliers", "target_precision", "data_label",
        "data_sha256", "code_sha256", "seed", "versions", "hyperparameters", "out_of_fold",
    }  # fmt: skip
    assert model.about["out_of_fold"]["count"] == 32
    assert 0 <= model.about["in_distribution_threshold"] <= 1


def test_each_epoch_of_each_phase_has_its_line_and_its_history(trained: tuple[Path, str]) -> None:
    job, log = trained
    lines = [dict(pair.split("=", 1) for pair in line.split()) for line in log.splitlines() if "epoch=" in line]
    wanted = {"phase", "epoch", "train_loss", "learning_rate", "seconds", "fits", "done", "left"}
    assert all(set(line) >= wanted for line in lines)
    assert [line["epoch"] for line in lines if line["phase"] == "fold-1/2"] == [f"{n}/6" for n in range(1, 7)]
    assert "validation_accuracy" in next(x for x in lines if x["phase"] == "fold-2/2" and x["epoch"] == "6/6")
    assert lines[-1]["fits"] == "3/4"
    assert "phase=second-opinion fits=4/4 done=100 left=0" in log
    assert [int(line["done"]) for line in lines] == sorted(int(line["done"]) for line in lines)
    history = json.loads((job / "model" / "history.json").read_text())
    assert len(history) == len(lines) == 18
    assert {entry["phase"] for entry in history} == {"fold-1/2", "fold-2/2", "final"}


def test_the_same_seed_gives_the_same_bytes_in_one_process_or_two(
    trained: tuple[Path, str], channel: Path, tmp_path: Path
) -> None:
    tiny.run(channel, tmp_path, "--workers", "2")
    assert _contents(tmp_path) == _contents(trained[0])


def test_below_zero_only_the_small_network_is_in_the_artifact(
    trained: tuple[Path, str], channel: Path, tmp_path: Path
) -> None:
    log = _run(channel, tmp_path, "--second-opinion-below", "0")
    alone, both = _contents(tmp_path), _contents(trained[0])
    assert set(both) - set(alone) == {second.SYMBOL, second.INT8_SYMBOL, second.PARAMETERS, second.ABOUT}
    assert alone[inference.PARAMETERS] == both[inference.PARAMETERS]  # the small network learns the same
    assert "second-opinion" not in log
    model = inference.model_fn(str(tmp_path / "model"))
    photos = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    answers = inference.predict_fn(photos, model)
    assert answers.shape == (4, 4)
    assert "second_opinion" not in json.loads(inference.output_fn(answers, "*/*", model)[0])["predictions"][0]


def test_the_answer_says_whether_the_large_network_was_asked(trained: tuple[Path, str]) -> None:
    model = inference.model_fn(str(trained[0] / "model"))
    photos = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    answers = inference.predict_fn(photos, model)
    said = json.loads(inference.output_fn(answers, "application/json", model)[0])["predictions"]
    assert [one["second_opinion"] for one in said] == [bool(asked) for asked in answers[:, 3]]
    alone = np.concatenate([inference.predict_fn(photos[row : row + 1], model) for row in range(5)])
    assert np.allclose(alone, answers, atol=1e-5)
    rows = inference.output_fn(answers, "text/csv", model)[0].decode().splitlines()
    assert all(len(row.split(",")) == 5 for row in rows)  # label, confidence, two classes, in_distribution


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("flags", [("--seed", "2"), ("--pretrained", "no")], ids=["another seed", "from nothing"])
def test_another_seed_or_starting_from_nothing_gives_another_network(
    flags: tuple[str, str], short: bytes, channel: Path, tmp_path: Path
) -> None:
    assert _weights(channel, tmp_path, *flags) != short


def test_a_killed_run_resumes_and_ends_with_the_same_bytes(
    trained: tuple[Path, str], channel: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkpoints").mkdir()
    with subprocess.Popen(
        tiny.command(channel, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            if line.startswith("phase=fold-2/2 epoch=5/6"):
                killed.kill()
    assert not (tmp_path / "model" / inference.MODEL).exists()
    log = _run(channel, tmp_path)
    assert "Resuming fold-1/2 after epoch 6 of 6" in log
    assert re.search("Resuming fold-2/2 after epoch [56] of 6", log)  # it may go on while its line is read
    assert _contents(tmp_path) == _contents(trained[0])


@pytest.mark.usefixtures("few")
def test_a_checkpoint_of_another_run_is_not_used_and_this_is_said(short: bytes, channel: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    _run(channel, tmp_path, "--seed", "5", *SHORT)
    (tmp_path / "checkpoints" / "final.checkpoint").write_bytes(b"damaged")
    log = _run(channel, tmp_path, *SHORT)
    assert "fold-1-of-2.checkpoint is not used: it is of a run with other code, data or hyperparameters" in log
    assert "final.checkpoint is not used: it is damaged" in log
    assert _contents(tmp_path)[inference.PARAMETERS] == short


@pytest.mark.usefixtures("few")
def test_photos_of_other_things_change_the_network_and_are_counted(short: bytes, tmp_path: Path) -> None:
    channel = channels.write(tmp_path / "channel", 32)
    channels.add_outliers(channel, 12)
    _run(channel, tmp_path, "--epochs", "1")
    assert _contents(tmp_path)[inference.PARAMETERS] != short
    assert json.loads((tmp_path / "model" / inference.MODEL).read_text())["outliers"] == {"cow": 12}


def test_crops_stand_in_for_other_things_where_the_data_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With others, only as many are made as the large network sees beside the photos."""
    monkeypatch.setattr(outliers, "CROPS", 25)
    alone, with_others = (channels.write(tmp_path / name, 20) for name in ("alone", "others"))
    channels.add_outliers(with_others, 4)
    for folder, crops, strange in ((alone, 25, 25), (with_others, 6, 4)):
        scratch = tmp_path / f"{folder.name}-pixels"
        train.load_channel(folder, ["ant", "bee"], (32, 32), 2, scratch)
        assert len(records.mapped(scratch / phases.CROPS, (32, 32))) == crops
        assert len(phases.others(scratch, (32, 32))) == strange
        assert len(records.mapped(scratch / phases.SAVED, (32, 32))) == 20


def test_two_hosts_train_together_and_the_first_writes_the_artifact(channel: Path, tmp_path: Path) -> None:
    port, hosts = str(free_port()), ["127.0.0.1", "localhost"]
    running = []
    for host in hosts:
        variables = {**os.environ, "SM_HOSTS": json.dumps(hosts), "SM_CURRENT_HOST": host}
        command = tiny.command(channel, tmp_path / host, "--parameter-server-port", port, "--epochs", "1")
        running.append(
            subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    try:
        logs = [process.communicate(timeout=600)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0]
    final = [line for log in logs for line in log.splitlines() if line.startswith("phase=final epoch=1/1")]
    assert len(final) == 2
    model = inference.model_fn(str(tmp_path / "127.0.0.1" / "model"))
    assert model.about["hyperparameters"]["hosts"] == 2
    assert not (tmp_path / "localhost" / "model" / inference.MODEL).exists()


@pytest.mark.usefixtures("few")
def test_three_classes_train_without_a_change(tmp_path: Path) -> None:
    channel = channels.write(tmp_path / "channel", 36, ("ant", "bee", "cat"))
    flags = [*FLAGS, "--classes", "ant,bee,cat", "--epochs", "1", "--train", str(channel)]
    assert train.main([*flags, "--model-dir", str(tmp_path / "model")]) == 0
    model = inference.model_fn(str(tmp_path / "model"))
    answer = inference.output_fn(
        inference.predict_fn(np.zeros((1, 32, 32, 3), np.uint8), model), "application/json", model
    )
    assert set(json.loads(answer[0])["predictions"][0]["probabilities"]) == {"ant", "bee", "cat"}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("labels", "classes", "flags", "sentence"),
    [
        ([0] * 20, "ant,bee", [], "no photo of class bee is in the training records"),
        ([0] * 20 + [1], "ant,bee", [], "class bee has 1 training photos, fewer than the 2 folds"),
        ([0, 1] * 10, "ant,cat", [], "the training records hold the classes ant,bee, but --classes is ant,cat"),
        ([0, 1, 2] * 10, "ant,bee", [], "a record has the label 2, but there are only 2 classes"),
        ([0, 1] * 10, "ant,bee", ["--batch-size", "512", "--learning-rate", "10", *SHORT], ""),
    ],
    ids=["a class missing", "fewer photos than folds", "other classes", "a label too high", "a batch above the photos"],
)
def test_data_that_cannot_be_trained_on_is_refused_in_a_sentence(
    labels: list[int], classes: str, flags: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = channels.write(tmp_path / "channel", 0, labels=labels)
    code = train.main(
        [*FLAGS, "--classes", classes, "--train", str(channel), "--model-dir", str(tmp_path / "model"), *flags]
    )
    assert code == (1 if sentence else 0)
    assert sentence in capsys.readouterr().err


def test_a_missing_channel_and_a_broken_photo_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--model-dir", str(tmp_path / "model"), "--train"]
    assert train.main([*FLAGS, *places, str(tmp_path / "nowhere")]) == 1
    assert "nowhere/dataset.json is missing" in capsys.readouterr().err
    bodies = [channels.encoded(channels.tinted(0, np.random.default_rng(0)))] * 3 + [b"\x89PNG\r\n\x1a\nbroken"]
    channels.write_bodies(tmp_path / "broken", bodies, [0, 1, 0, 1], ("ant", "bee"))
    assert train.main([*FLAGS, *places, str(tmp_path / "broken")]) == 1
    assert "record 3 of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--epochs", "0", "0 is not between 1 and"), ("--epochs", "many", "'many' is not a whole number"),
        ("--epochs", "1_0", "'1_0' is not a whole number"), ("--learning-rate", "\u0661", "is not a number"),
        ("--batch-size", "1", "1 is not between 2 and"), ("--learning-rate", "nan", "nan is not between"),
        ("--learning-rate", "-0.1", "-0.1 is not between"), ("--target-precision", "1.2", "1.2 is not between"),
        ("--folds", "1", "1 is not between 2 and"), ("--classes", "ant", "'ant' does not name two or more"),
        ("--classes", "ant,ant", "'ant,ant' does not name two or more"),
        ("--depth", "3", "unrecognized arguments: --depth"),
    ],
)  # fmt: skip
def test_a_flag_out_of_range_is_named_with_its_value(
    flag: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        train.main([*FLAGS, f"{flag}={value}"])
    error = capsys.readouterr().err
    assert left.value.code == 2
    assert flag in error
    assert words in error


def test_training_has_no_way_to_name_the_test_set() -> None:
    flags = {action.dest: action.default for action in train.parser()._actions}
    assert not [name for name in flags if "test" in name]
    sources = [path.read_text() for path in tiny.SCRIPT.parent.glob("*.py")]
    assert not any("SM_CHANNEL_TEST" in source or "data/test" in source for source in sources)


def test_the_clock_is_not_in_the_artifact(trained: tuple[Path, str]) -> None:
    contents = _contents(trained[0])
    year = time.strftime("%Y")
    assert b"seconds" not in contents["history.json"]
    assert b"seconds" not in contents[inference.MODEL]
    assert f'"{year}'.encode() not in contents[inference.MODEL]
