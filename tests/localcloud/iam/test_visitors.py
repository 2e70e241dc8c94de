"""Owners of other accounts: who is let in, and that they may do what the policies of resources say, and no more."""

import json

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud.state.credentials import visitor_secret

OTHER, SECRET = "222222222222", "the secret of the other account's local cloud"
HERE = "arn:aws:sagemaker:us-east-1:000000000000"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/shared:1"


def policy(actions, *resources):
    """A policy that lets the other account do this, and nobody anything without TLS, as the application's bucket."""
    who = {"AWS": f"arn:aws:iam::{OTHER}:root"}
    statement = {"Effect": "Allow", "Principal": who, "Action": actions, "Resource": list(resources)}
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    denied = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": plain}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement, denied]})


@pytest.fixture(scope="module")
def visitor(cloud):
    """Clients of the owner of the other account, whom the home's file lets in."""
    file = cloud.home / "credentials"
    before = file.read_text()
    file.write_text(f"{before}[production]\naws_access_key_id = {OTHER}\naws_secret_access_key = {SECRET}\n")
    config = Config(retries={"max_attempts": 0}, inject_host_prefix=False, s3={"addressing_style": "path"})
    session = boto3.Session(OTHER, SECRET, region_name="us-east-1")
    yield lambda service: session.client(service, endpoint_url=cloud.url, config=config)
    file.write_text(before)


@pytest.fixture(scope="module")
def version(cloud):
    """A version in a group that the other account may list and read."""
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="shared")
    reads = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
    allowed = policy(reads, f"{HERE}:model-package-group/shared", f"{HERE}:model-package/shared/*")
    sagemaker.put_model_package_group_policy(ModelPackageGroupName="shared", ResourcePolicy=allowed)
    container = {"Image": IMAGE, "ModelDataUrl": "s3://shared-data/model.tar.gz"}
    specification = {"Containers": [container], "SupportedContentTypes": ["a/b"], "SupportedResponseMIMETypes": ["a/b"]}
    made = sagemaker.create_model_package(ModelPackageGroupName="shared", InferenceSpecification=specification)
    return made["ModelPackageArn"]


def code(error):
    return error.value.response["Error"]["Code"]


def test_a_visitor_reads_versions_by_the_groups_policy(visitor, version):
    sagemaker = visitor("sagemaker")
    listed = sagemaker.list_model_packages(ModelPackageGroupName=f"{HERE}:model-package-group/shared")
    assert [one["ModelPackageArn"] for one in listed["ModelPackageSummaryList"]] == [version]
    assert sagemaker.describe_model_package(ModelPackageName=version)["ModelPackageVersion"] == 1


def test_what_the_policy_does_not_name_is_denied_in_awss_words(visitor, version):
    with pytest.raises(ClientError) as denied:
        visitor("sagemaker").update_model_package(ModelPackageArn=version, ModelApprovalStatus="Approved")
    assert denied.value.response["Error"] == {
        "Code": "AccessDeniedException",
        "Message": f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: sagemaker:UpdateModelPackage on "
        f"resource: {version} because no resource-based policy allows the sagemaker:UpdateModelPackage action",
    }


def test_a_name_means_a_resource_of_the_visitors_own_account(visitor, version):
    with pytest.raises(ClientError, match=f":{OTHER}:model-package/shared/") as denied:
        visitor("sagemaker").list_model_packages(ModelPackageGroupName="shared")
    assert code(denied) == "AccessDeniedException"


def test_without_a_policy_nothing_is_shared(cloud, visitor, version):
    cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName="kept")
    with pytest.raises(ClientError) as denied:
        visitor("sagemaker").describe_model_package_group(ModelPackageGroupName=f"{HERE}:model-package-group/kept")
    assert code(denied) == "AccessDeniedException"


def test_a_bucket_is_read_by_its_policy_and_not_written(cloud, visitor):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="shared-data")
    for key in ("models/a", "photos/a"):
        s3.put_object(Bucket="shared-data", Key=key, Body=b"content")
    s3.put_bucket_policy(Bucket="shared-data", Policy=policy("s3:GetObject", "arn:aws:s3:::shared-data/models/*"))
    theirs = visitor("s3")
    assert theirs.get_object(Bucket="shared-data", Key="models/a")["Body"].read() == b"content"
    for refused in (
        lambda: theirs.get_object(Bucket="shared-data", Key="photos/a"),
        lambda: theirs.put_object(Bucket="shared-data", Key="models/b", Body=b""),
    ):
        with pytest.raises(ClientError) as denied:
            refused()
        assert code(denied) == "AccessDenied"


@pytest.mark.parametrize("ask", [
    lambda client: client("lambda").list_functions(),
    lambda client: client("sagemaker-runtime").invoke_endpoint(EndpointName="any", Body=b""),
    lambda client: client("iam").list_users(),
])  # fmt: skip
def test_a_service_that_has_no_policies_here_is_closed_to_visitors(visitor, ask):
    with pytest.raises(ClientError, match=f"Account {OTHER} may ask here for what the policies") as denied:
        ask(visitor)
    assert code(denied).startswith("AccessDenied")


def test_another_account_that_no_profile_lets_in_is_unknown(cloud):
    session = boto3.Session("333333333333", SECRET, region_name="us-east-1")
    with pytest.raises(ClientError, match="security token included in the request is invalid"):
        session.client("sagemaker", endpoint_url=cloud.url).list_models()


def test_the_owners_own_profile_lets_nobody_in(tmp_path):
    key = f"aws_access_key_id = {OTHER}\naws_secret_access_key = "
    (tmp_path / "credentials").write_text(f"[default]\n{key}{SECRET}\n[short]\n{key}short\n")
    assert visitor_secret(tmp_path, OTHER) is None
    assert visitor_secret(tmp_path, "333333333333") is None


@pytest.mark.parametrize(
    ("service", "headers"),
    [
        ("s3", {"X-Amz-Target": "AmazonSQS.CreateQueue"}),
        ("sagemaker", {"X-Amz-Target": "AmazonSQS.CreateQueue"}),
        ("s3", {"Host": "sqs.us-east-1.localhost"}),
    ],
)
def test_a_visitor_reaches_no_other_service_by_another_name(cloud, visitor, service, headers):
    request = AWSRequest("POST", f"{cloud.url}/", headers, b'{"QueueName": "theirs"}')
    SigV4Auth(Credentials(OTHER, SECRET), service, "us-east-1").add_auth(request)

    answer = httpx.post(request.url, headers=dict(request.headers), content=request.data, trust_env=False)

    assert (answer.status_code, "may ask here for what the policies" in answer.text) == (403, True)


@pytest.mark.parametrize("key", ["functions", "functions/theirs/invocations"])
def test_the_address_of_an_object_is_asked_of_s3_whatever_it_looks_like(cloud, visitor, key):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="2015-03-31")
    s3.put_object(Bucket="2015-03-31", Key=key, Body=b"an object")
    place = {"Bucket": "2015-03-31", "Key": key}
    ours = s3.generate_presigned_url("get_object", place)
    theirs = visitor("s3").generate_presigned_url("put_object", place)

    assert httpx.get(ours, trust_env=False).content == b"an object"
    assert "<Code>AccessDenied</Code>" in httpx.put(theirs, content=b"{}", trust_env=False).text
