"""What is wrong about an AWS account, its region, its credentials or a role is one sentence, and nothing is changed."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError, LoginRefreshRequired, NoCredentialsError, UnauthorizedSSOTokenError
from botocore.stub import Stubber
from moto import mock_aws

from loadingbay.errors import UsageError, WorkError
from loadingbay.screen.explain import sentence
from loadingbay.stack.deploy import deploy
from loadingbay.stack.local_cloud import ROOT
from loadingbay.story.training import require_image
from loadingbay.target import Target, choose
from pipelines import executions
from pipelines.sources import image_tag

ROLE = "arn:aws:iam::123456789012:role/loadingbay-PipelineRole-1"


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A machine without any AWS configuration."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def _said(error):
    text = sentence(error)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(("region", "near"), [("eu-centrall-1", "eu-central-1"), ("us_east_1", "us-east-1")])
def test_an_unknown_region_is_named_with_the_nearest_there_is(keys, region, near):
    with pytest.raises(UsageError) as error:
        deploy(choose({"LOADINGBAY_CLOUD": "aws", "AWS_DEFAULT_REGION": region}, ROOT))
    assert f"there is no AWS region {region} with SageMaker" in _said(error.value)
    assert f"set AWS_DEFAULT_REGION, perhaps to {near}" in _said(error.value)


def test_no_region_says_which_variable_to_set(keys):
    with pytest.raises(UsageError, match="no AWS region is configured: set AWS_DEFAULT_REGION"):
        deploy(choose({"LOADINGBAY_CLOUD": "aws"}, ROOT))


def test_the_region_of_a_profile_is_looked_at_too(monkeypatch, tmp_path):
    (tmp_path / "config").write_text("[profile far]\nregion = mars-north-1\n")
    monkeypatch.setenv("AWS_PROFILE", "far")
    with pytest.raises(UsageError, match="there is no AWS region mars-north-1"):
        deploy(choose({"LOADINGBAY_CLOUD": "aws", "AWS_PROFILE": "far"}, ROOT))


def test_no_credentials_say_how_to_get_some():
    with pytest.raises(NoCredentialsError) as error:
        deploy(choose({"LOADINGBAY_CLOUD": "aws", "AWS_DEFAULT_REGION": "eu-central-1"}, ROOT))
    assert "no usable credentials" in _said(error.value)
    assert "`aws configure` sets them" in _said(error.value)


def test_a_local_address_without_credentials_means_the_local_cloud(tmp_path):
    target = choose({"AWS_ENDPOINT_URL": "http://127.0.0.1:4747"}, tmp_path)
    assert target.client("s3")._request_signer._credentials.access_key == "000000000000"


def test_an_address_on_this_machine_with_credentials_uses_them(keys, tmp_path):
    target = choose({"AWS_ENDPOINT_URL": "http://127.0.0.1:4747", "AWS_ACCESS_KEY_ID": "testing"}, tmp_path)
    assert target.client("s3")._request_signer._credentials.access_key == "testing"


class Refusing:
    """An account that refuses every call with this error, and remembers what it was asked."""

    def __init__(self, target, code, message):
        self.asked = []
        for service in ("cloudformation", "s3", "sts", "sagemaker"):
            client = target.client(service)
            client.meta.events.register("before-send", lambda request, **_: self._refuse(request, code, message))

    def _refuse(self, request, code, message):
        from botocore.awsrequest import AWSResponse

        self.asked.append(request.url)
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"

        class Raw:
            def stream(self):
                yield body.encode()

        return AWSResponse(request.url, 403, {}, Raw())


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_an_expired_token_says_sign_in_again_and_is_not_tried_further(keys, code):
    target = choose({"LOADINGBAY_CLOUD": "aws", "AWS_DEFAULT_REGION": "eu-central-1"}, ROOT)
    account = Refusing(target, code, "The security token included in the request is expired")
    with pytest.raises(ClientError) as error:
        deploy(target)
    assert "the AWS credentials have expired: sign in again" in _said(error.value)
    assert len(account.asked) == 1


@pytest.mark.parametrize("error", [UnauthorizedSSOTokenError(), LoginRefreshRequired()])
def test_an_expired_single_sign_on_says_sign_in_again(error):
    assert "sign in again (new keys, or `aws sso login`" in _said(error)


def test_a_role_that_may_not_be_passed_is_named_with_the_permission(keys):
    sagemaker = boto3.client("sagemaker", region_name="eu-central-1")
    refusal = (
        "User: arn:aws:iam::123456789012:user/dev is not authorized to perform: iam:PassRole on resource: "
        f"{ROLE} because no identity-based policy allows the iam:PassRole action"
    )
    with Stubber(sagemaker) as stub:
        stub.add_client_error("describe_pipeline", "ResourceNotFound", "no")
        stub.add_client_error("create_pipeline", "AccessDeniedException", refusal, 400)
        with pytest.raises(ClientError) as error:
            executions.upsert(sagemaker, "{}", ROLE, "loadingbay")
        stub.assert_no_pending_responses()
    said = _said(error.value)
    assert said.startswith("CreatePipeline is not permitted: these credentials may not pass that role on")
    assert f"ask for iam:PassRole on {ROLE}, then repeat the command" in said


@pytest.fixture
def account(keys):
    with mock_aws():
        yield Target("aws", None, "eu-central-1")


def test_a_missing_parameter_is_said_before_anything_is_made(account, tmp_path):
    (tmp_path / "workflow").mkdir()
    (tmp_path / "lambdas").mkdir()
    template = tmp_path / "workflow" / "template.yaml"
    parameters = {"Owner": {"Type": "String", "Description": "Who pays."}}
    template.write_text(json.dumps({"Parameters": parameters, "Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}))
    with pytest.raises(WorkError) as error:
        deploy(account, template=template)
    assert "parameter Owner has no default (Who pays): give it with --parameter Owner=..." in _said(error.value)
    assert account.client("s3").list_buckets()["Buckets"] == []
    assert account.client("cloudformation").list_stacks()["StackSummaries"] == []


def test_an_unknown_parameter_makes_nothing(account):
    with pytest.raises(WorkError, match="the template has no parameter Owner"):
        deploy(account, parameters={"Owner": "me"})
    assert account.client("s3").list_buckets()["Buckets"] == []


def test_a_stack_that_never_comes_to_rest_is_not_waited_for_without_end(account, monkeypatch):
    class Busy:
        def describe_stacks(self, **_):
            return {"Stacks": [{"StackStatus": "UPDATE_IN_PROGRESS"}]}

    now = iter(range(0, 100_000, 600))
    monkeypatch.setattr("loadingbay.stack.deploy.time.monotonic", lambda: next(now))
    monkeypatch.setattr("loadingbay.stack.deploy.time.sleep", lambda _: None)
    account.clients["cloudformation"] = Busy()
    with pytest.raises(WorkError, match="has been in UPDATE_IN_PROGRESS for 30 min"):
        deploy(account)


def _image(digest_of):
    """The address of the image in a registry that has this digest, or none, for its tag."""
    repository = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/loadingbay"

    class Registry:
        def describe_images(self, **asked):
            assert asked == {"repositoryName": "loadingbay", "imageIds": [{"imageTag": image_tag()}]}
            if digest_of is None:
                raise ClientError({"Error": {"Code": "ImageNotFoundException"}}, "DescribeImages")
            return {"imageDetails": [{"imageDigest": digest_of}]}

    target = Target("aws", None, "eu-central-1")
    target.clients["ecr"] = Registry()
    return target, {"ImageRepositoryUri": repository}


def test_an_image_that_was_not_pushed_is_missed_before_a_job_is_paid_for(keys):
    with pytest.raises(WorkError) as error:
        require_image(*_image(None))
    assert f"/loadingbay:{image_tag()} is not in the registry: `bash workflow/image.sh 1234" in _said(error.value)


def test_an_image_that_was_pushed_is_used(keys):
    require_image(*_image("sha256:" + "0" * 64))
