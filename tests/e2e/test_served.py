"""What is served is what was evaluated: the endpoint answers each photo with the probabilities that Evaluate found."""

import base64
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
IMAGE_PYTHON = ROOT / ".venv-image" / "bin" / "python"

# Writes test records that hold the files of a folder byte by byte, as Stage does, and says in which order.
RECORDS = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from processing import datasets
source, target, classes = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4].split(",")
files = sorted(source.glob("*/*"))
photos = ((classes.index(file.parent.name), file.read_bytes()) for file in files)
datasets.write(target, photos, classes, label="drawn samples", source="forms")
"""


@pytest.fixture(scope="module")
def version(bay: Any, story: dict[str, Any]) -> dict[str, Any]:
    """The version in service."""
    assert story["endpoint_name"] == "loadingbay"
    sagemaker = bay.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName="loadingbay")["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variants[0]["ModelName"])
    container = model.get("PrimaryContainer") or model["Containers"][0]
    described: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=container["ModelPackageName"])
    return described


def _bytes(bay: Any, uri: str) -> bytes:
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    content: bytes = bay.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def _served(bay: Any, body: bytes, content_type: str) -> list[dict[str, Any]]:
    """The predictions of the endpoint for one request."""
    answer = bay.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="loadingbay", Body=body, ContentType=content_type, Accept="application/json"
    )
    predictions: list[dict[str, Any]] = json.load(answer["Body"])["predictions"]
    return predictions


def _content_type(body: bytes) -> str:
    return "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"


def _assert_equal(served: dict[str, Any], evaluated: dict[str, Any]) -> None:
    assert served["label"] == evaluated["label"]
    assert served["probabilities"] == pytest.approx(evaluated["probabilities"], abs=1e-5)


def test_the_endpoint_answers_the_test_photos_as_evaluate_did(bay: Any, version: dict[str, Any]) -> None:
    folder = version["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].rpartition("/")[0] + "/verification"
    answers = json.loads(_bytes(bay, f"{folder}/answers.json"))["answers"]
    bodies = {name: _bytes(bay, f"{folder}/{name}") for name in answers}
    assert len(bodies) == 40
    instances = [{"image": base64.b64encode(body).decode()} for body in bodies.values()]
    together = _served(bay, json.dumps({"instances": instances}).encode(), "application/json")
    for (name, body), one_of_many in zip(bodies.items(), together, strict=True):
        _assert_equal(one_of_many, answers[name])
        (alone,) = _served(bay, body, _content_type(body))
        _assert_equal(alone, answers[name])


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _forms(photo: Image.Image) -> dict[str, bytes]:
    """One photo in the forms that photos come in. Those whose names begin alike show the same pixels."""
    turned = Image.Exif()
    turned[0x0112] = 6
    jpeg = _encoded(photo.resize((57, 43)), "JPEG", quality=80)
    return {
        "small.png": _encoded(photo, "PNG"),
        "large.jpg": _encoded(photo.resize((2400, 1800)), "JPEG"),
        "large.png": _encoded(photo.resize((900, 700)), "PNG"),
        "grey.png": _encoded(photo.convert("L"), "PNG"),
        "grey.jpg": _encoded(photo.convert("L").resize((64, 64)), "JPEG"),
        "turned.jpg": _encoded(photo.resize((60, 90)), "JPEG", exif=turned),
        "print.jpg": _encoded(photo.resize((64, 48)).convert("CMYK"), "JPEG"),
        "palette.png": _encoded(photo.convert("P"), "PNG"),
        "clear.png": _encoded(photo.convert("RGBA"), "PNG"),
        "same.jpg": jpeg,
        "same.png": _encoded(Image.open(io.BytesIO(jpeg)), "PNG"),
    }


@pytest.fixture(scope="module")
def forms(bay: Any, version: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    """(what Evaluate answers, what the endpoint answers) to a photo of each class in every form."""
    folder = tmp_path_factory.mktemp("forms")
    quality = version["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].rpartition("/")[0]
    artifact = version["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    (folder / "model.tar.gz").write_bytes(_bytes(bay, artifact))
    bodies: dict[bytes, tuple[str, str]] = {}
    for name in ("bicycle", "motorcycle"):
        photo = Image.open(io.BytesIO(_bytes(bay, f"{quality}/verification/{name}-01.png"))).convert("RGB")
        (folder / "photos" / name).mkdir(parents=True)
        for form, body in _forms(photo).items():
            (folder / "photos" / name / form).write_bytes(body)
            bodies[body] = (name, form)
    python = [str(IMAGE_PYTHON), "-W", "ignore"]
    records = [*python, "-c", RECORDS, str(ROOT), str(folder / "photos"), str(folder / "test"), "bicycle,motorcycle"]
    evaluate = [*python, "-m", "processing.evaluate", "--model", str(folder / "model.tar.gz"),
                "--test", str(folder / "test"), "--output", str(folder / "out"),
                "--message", str(folder / "message")]  # fmt: skip
    for command in (records, evaluate):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=800, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    answers = json.loads((folder / "out" / "verification" / "answers.json").read_text())["answers"]
    found = {}
    for file, evaluated in answers.items():
        body = (folder / "out" / "verification" / file).read_bytes()
        found[bodies[body]] = evaluated, _served(bay, body, _content_type(body))[0]
    assert len(found) == len(bodies) == 22
    return found


@pytest.mark.parametrize(
    "form",
    ["small.png", "large.jpg", "large.png", "grey.png", "grey.jpg", "turned.jpg", "print.jpg", "palette.png",
     "clear.png", "same.jpg", "same.png"],
)  # fmt: skip
def test_a_photo_in_any_form_is_answered_as_evaluate_answers_it(forms: dict[Any, Any], form: str) -> None:
    for name in ("bicycle", "motorcycle"):
        evaluated, served = forms[name, form]
        _assert_equal(served, evaluated)


def test_png_and_jpeg_of_the_same_pixels_get_the_same_answer(forms: dict[Any, Any]) -> None:
    for name in ("bicycle", "motorcycle"):
        _assert_equal(forms[name, "same.png"][1], forms[name, "same.jpg"][1])


def test_training_was_given_the_training_photos_only(bay: Any, story: dict[str, Any], tmp_path: Path) -> None:
    steps, sagemaker = bay.steps(story["pipeline_execution_arn"]), bay.client("sagemaker")
    job = sagemaker.describe_training_job(
        TrainingJobName=steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    )
    staged = sagemaker.describe_processing_job(
        ProcessingJobName=steps["Stage"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    )
    places = {o["OutputName"]: o["S3Output"]["S3Uri"] for o in staged["ProcessingOutputConfig"]["Outputs"]}
    channels = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in job["InputDataConfig"]]
    assert channels == [places["train"]]
    assert not places["test"].startswith(places["train"])
    digests = {}
    for split in ("train", "test"):
        (tmp_path / f"{split}.rec").write_bytes(_bytes(bay, f"{places[split]}/images.rec"))
        script = (
            "import hashlib, mxnet, sys\n"
            "reader = mxnet.recordio.MXRecordIO(sys.argv[1], 'r')\n"
            "while record := reader.read(): print(hashlib.sha256(mxnet.recordio.unpack(record)[1]).hexdigest())\n"
        )
        command = [str(IMAGE_PYTHON), "-W", "ignore", "-c", script, str(tmp_path / f"{split}.rec")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=800)
        digests[split] = set(done.stdout.split())
        assert len(digests[split]) >= 100
    assert not digests["train"] & digests["test"]
