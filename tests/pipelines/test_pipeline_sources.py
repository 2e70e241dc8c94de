"""Content-addressed code: the same files give the same bytes, another byte gives another address."""

import ast
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from pipelines.aws import exists
from pipelines.sources import (
    Source,
    Sources,
    application,
    archive,
    files_of,
    fingerprint,
    git_commit,
    image_address,
    modules_of,
    upload_missing,
)

OUTPUTS = {"BucketName": "b", "PipelineRoleArn": "role", "ModelPackageGroupName": "bay-two"}
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/bay-two"


@pytest.fixture
def tree(tmp_path):
    """A folder of sources."""
    folder = tmp_path / "training"
    (folder / "nets").mkdir(parents=True)
    (folder / "train.py").write_text("print('train')\n")
    (folder / "nets" / "resnet.py").write_text("WIDTH = 16\n")
    return folder


def test_an_archive_does_not_depend_on_times_and_owners_of_files(tree):
    before = archive(tree)
    os.utime(tree / "train.py", (0, 0))
    (tree / "train.py").chmod(0o600)
    assert archive(tree) == before


def test_an_archive_changes_with_a_byte(tree):
    before = archive(tree)
    (tree / "train.py").write_text("print('train!')\n")
    assert archive(tree) != before


def test_an_archive_is_flat_and_sorted_and_holds_no_caches(tree):
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"x")
    (tree / ".hidden").write_text("x")
    with tarfile.open(fileobj=io.BytesIO(archive(tree))) as tar:
        assert tar.getnames() == ["nets/resnet.py", "train.py"]


def test_a_link_out_of_the_folder_is_not_followed(tree, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tree / "link.txt").symlink_to(tmp_path / "secret.txt")
    assert [p.name for p in files_of(tree)] == ["resnet.py", "train.py"]


def test_a_fingerprint_tells_apart_files_that_swapped_their_contents(tree):
    before = fingerprint(tree)
    first, second = tree / "train.py", tree / "nets" / "resnet.py"
    one, two = first.read_text(), second.read_text()
    first.write_text(two)
    second.write_text(one)
    assert fingerprint(tree) != before


def test_the_projects_own_sources_lie_at_addresses_that_contain_their_hash():
    sources = Sources.read()
    settings = sources.settings(OUTPUTS, region="r", image="image")
    assert settings.stage == f"s3://b/code/{sources.stage.sha256}/stage.pyz"
    assert settings.training == f"s3://b/code/{settings.training_sha256}/sourcedir.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(sources.training.content)) as tar:
        assert "train.py" in tar.getnames()
        assert not {"setup.py", "requirements.txt"} & set(tar.getnames())


def test_a_stage_runs_under_its_name_in_its_network_and_with_its_key():
    private = {**OUTPUTS, "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "KmsKeyArn": "arn:key"}
    settings = Sources.read().settings(private, region="r", image="image")
    assert (settings.name, settings.key) == ("bay-two", "arn:key")
    assert (settings.subnets, settings.security_groups) == (("subnet-1", "subnet-2"), ("sg-1",))


@mock_aws
def test_an_image_that_was_pushed_is_named_by_its_digest():
    ecr = boto3.client("ecr", region_name="us-east-1")
    ecr.create_repository(repositoryName="bay-two")
    manifest = '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}'
    pushed = ecr.put_image(repositoryName="bay-two", imageTag="0123", imageManifest=manifest)["image"]["imageId"]
    assert image_address(ecr, REPOSITORY, "0123") == f"{REPOSITORY}@{pushed['imageDigest']}"


@mock_aws
@pytest.mark.parametrize("repository", ["bay-two", "no-such-repository"])
def test_an_image_that_was_not_pushed_is_named_by_its_tag(repository):
    ecr = boto3.client("ecr", region_name="us-east-1")
    ecr.create_repository(repositoryName="bay-two")
    address = f"{REPOSITORY.partition('/')[0]}/{repository}"
    assert image_address(ecr, address, "0123") == f"{address}:0123"


@mock_aws
def test_code_is_not_sent_to_a_bucket_of_somebody_else():
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="code-bucket")
    seen = []
    s3.meta.events.register("before-parameter-build.s3.*", lambda params, **_: seen.append(params))
    upload_missing(s3, "code-bucket", (Source("a.py", b"a"),), owner="123456789012")
    assert len(seen) == 2
    assert all(params["ExpectedBucketOwner"] == "123456789012" for params in seen)


MAIN = "import sys\nfrom jobs.count.near import word\nprint(word, sys.argv[1])\n"
NEAR = "def late():\n    from jobs import far\n    return far.word\n\nword = late()\n"


@pytest.fixture
def job(tmp_path):
    """A package of jobs with modules that the job `count` uses, and others."""
    package = tmp_path / "jobs"
    (package / "count").mkdir(parents=True)
    (package / "other").mkdir()
    (package / "count" / "__main__.py").write_text(MAIN)
    (package / "count" / "near.py").write_text(NEAR)
    (package / "far.py").write_text("word = 'packed'\n")
    (package / "unused.py").write_text("raise AssertionError\n")
    (package / "other" / "__main__.py").write_text("raise AssertionError\n")
    for folder in (package, package / "count"):
        (folder / "__init__.py").write_text("")
    return package / "count"


def test_a_job_is_packed_with_the_shared_modules_it_needs_and_no_others(job):
    with zipfile.ZipFile(io.BytesIO(application(job))) as packed:
        assert packed.namelist() == [
            "__main__.py",
            "jobs/__init__.py",
            "jobs/count/__init__.py",
            "jobs/count/__main__.py",
            "jobs/count/near.py",
            "jobs/far.py",
        ]


def test_a_packed_job_runs_where_nothing_else_is(job, tmp_path):
    (tmp_path / "alone").mkdir()
    packed = tmp_path / "alone" / "count.pyz"
    packed.write_bytes(application(job))
    done = subprocess.run([sys.executable, "-I", str(packed), "well"], capture_output=True, text=True, check=True)
    assert done.stdout == "packed well\n"


def test_packing_again_later_gives_the_same_bytes(job):
    first = application(job)
    for path in job.glob("*.py"):
        os.utime(path, (1, 1))
    assert application(job) == first
    (job.parent / "far.py").write_text("word = 'other'\n")
    assert application(job) != first


def test_a_job_is_given_no_module_of_another_job():
    folder = Path(__file__).resolve().parents[2] / "processing"
    jobs = {path.name for path in folder.iterdir() if (path / "__main__.py").is_file()}
    assert {"stage", "evaluate", "monitor"} <= jobs
    for name in jobs:
        needed = modules_of(folder / name)
        assert {path.parent for path in needed} == {folder, folder / name}
        assert folder / "job.py" in needed
    code = ast.parse((folder / "__init__.py").read_text()).body
    assert [type(line) for line in code] == [ast.Expr], "it is packed empty: a map may change without a job changing"


@mock_aws
def test_what_is_there_is_not_uploaded_again():
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="code-bucket")
    sources = (Source("a.py", b"a"), Source("b.py", b"b"))
    assert upload_missing(s3, "code-bucket", sources, owner="123456789012") == 2
    assert upload_missing(s3, "code-bucket", sources, owner="123456789012") == 0
    assert s3.get_object(Bucket="code-bucket", Key=sources[0].key)["Body"].read() == b"a"


@mock_aws
def test_an_error_other_than_not_found_is_not_taken_for_absence():
    s3 = boto3.client("s3", region_name="us-east-1")
    assert exists(s3, "no-such-bucket", "key") is False
    s3.meta.events.register("before-send.s3.HeadObject", _forbidden)
    with pytest.raises(s3.exceptions.ClientError, match="403"):
        exists(s3, "code-bucket", "key")


def _forbidden(request, **_):
    """S3's answer, status 403, in place of a request."""
    from botocore.awsrequest import AWSResponse

    class Raw(io.BytesIO):
        def stream(self, **_):
            return iter([b""])

    return AWSResponse(request.url, 403, {}, Raw())


def _git(folder, *arguments):
    name = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(["git", "-C", str(folder), *name, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_says_when_files_of_it_were_changed(tmp_path):
    assert git_commit(tmp_path) == "unknown"
    _git(tmp_path, "init")
    assert git_commit(tmp_path) == "unknown"
    (tmp_path / "file").write_text("one")
    _git(tmp_path, "add", "file")
    _git(tmp_path, "commit", "-m", "first")
    (tmp_path / "run").write_text("no part of it")
    head = _git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{head}-dirty"
