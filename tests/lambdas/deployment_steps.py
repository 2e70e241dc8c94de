"""How the tests drive DeployModel: events delivered in some order, endpoints that come to rest, people who decide."""

from datetime import timedelta
from functools import partial

from botocore.exceptions import ClientError

from lambdas.deploy_model import app
from lambdas.deploy_model.environment import Clients, read_settings
from lambdas.deploy_model.verification import NotVerified
from tests.fakes.fake_sagemaker import OURS

ENVIRONMENT = {
    "ENDPOINT_NAME": "loadingbay",
    "MODEL_PACKAGE_GROUP_NAME": "loadingbay",
    "ENDPOINT_ROLE_ARN": "arn:aws:iam::000000000000:role/endpoint",
    "ENDPOINT_INSTANCE_TYPE": "ml.m5.large",
    "ENDPOINT_INSTANCE_COUNT": "1",
    "DATA_CAPTURE_URI": "s3://bucket/data-capture",
}

HOURLY = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}


def converge(cloud, event, wait=lambda: False, **environment):
    """DeployModel handles the event; without `wait` there is no time to wait for an endpoint that is busy."""
    ours, now = OURS.rsplit("/", 1)[1], lambda: cloud.clock
    clients = Clients(
        cloud, cloud, cloud, cloud, cloud, cloud, "loadingbay-verify-endpoint", "s3://b/deployments", ours, now
    )
    settings = read_settings(ENVIRONMENT | environment)
    if event.get("dry_run"):
        return app.preview(event, settings, clients)
    return app.converge(event, settings, clients, wait)


def waits(cloud, rounds=5):
    """A wait of so many rounds, in each of which the endpoints come to rest."""
    left = iter(range(rounds))

    def wait():
        if next(left, None) is None:
            return False
        cloud.settle()
        return True

    return wait


def play(cloud, history):
    """People decide, endpoints come to rest or are deleted, and events arrive in any order, some of them twice."""
    for step in history:
        match step:
            case ("register", faults):
                cloud.register(*faults)
            case ("rest",):
                for _ in range(20):
                    cloud.settle()
                    if cloud.events:
                        deliver(cloud, cloud.events.pop(0))
            case ("deliver", which, twice):
                if cloud.events:
                    event = cloud.events.pop(which % len(cloud.events))
                    deliver(cloud, event)
                    if twice:
                        deliver(cloud, event)
            case ("settle",):
                cloud.settle()
            case ("vanish",):
                cloud.vanish()
            case ("meanwhile", more):
                cloud.meanwhile = partial(play, cloud, more)
            case ("hour",):
                cloud.clock += timedelta(hours=1)
                cloud.events.append(HOURLY)
            case ("machines" | "verifiable" as what, there):
                setattr(cloud, what, there)
            case ("shadow", which, share):
                if cloud.packages:
                    cloud.shadow_with(1 + which % len(cloud.packages), share)
            case (decision, which):
                if cloud.packages:
                    cloud.decide(1 + which % len(cloud.packages), decision)


def deliver(cloud, event, wait=lambda: False, **environment):
    """Whether the event was handled; if not, Lambda delivers it again, minutes later."""
    try:
        converge(cloud, event, wait, **environment)
    except NotVerified:
        cloud.events.append(event)
        return False
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceLimitExceeded":
            raise
        cloud.events.append(event)
        return False
    return True


def drain(cloud, pick=lambda n: 0, **environment):
    """Every event arrives and the endpoints come to rest. An endless argument between the two fails the test."""
    for _ in range(200):
        if cloud.events:
            if not deliver(cloud, cloud.events.pop(pick(len(cloud.events))), waits(cloud), **environment):
                cloud.settle()
        elif cloud.busy:
            cloud.settle()
        else:
            return
    raise AssertionError("events and endpoints never come to rest")
