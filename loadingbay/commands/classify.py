"""`classify`: send photos through the inference state machine, one execution each."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from loadingbay.errors import WorkError
from loadingbay.options import AS_JSON, LocalPath, print_json, require_running, with_target
from loadingbay.target import Target

PHOTO = LocalPath("a photo", "`loadingbay bulk` classifies what lies below a prefix in S3")


@click.command(short_help="Send photos through the state machine.")
@with_target
@click.argument("files", nargs=-1, required=True, type=PHOTO, metavar="PHOTO...")
@AS_JSON
def classify(target: Target, files: tuple[Path, ...], as_json: bool) -> None:
    """Upload each PHOTO and run the inference state machine for it."""
    from loadingbay.registry import versions as registry
    from loadingbay.screen import results
    from loadingbay.screen.progress import typed
    from loadingbay.serving import monitoring, photos
    from loadingbay.stack.deploy import outputs

    listed = photos.read(files)
    require_running(target)
    stack = outputs(target)
    now = registry.endpoint(target, stack["EndpointName"])
    if now is None:
        raise WorkError(
            "no model is deployed yet: `loadingbay status` shows the versions, `loadingbay approve` deploys"
        )
    outcomes = photos.classify(
        target,
        listed,
        bucket=stack["BucketName"],
        state_machine=stack["InferenceStateMachineArn"],
        prefix="photo",
    )
    monitoring.add_labels(target, stack["BucketName"], outcomes[0].inference_id, outcomes)
    if as_json:
        print_json([outcome.document() for outcome in outcomes])
    else:
        out = results.console()
        served = registry.registered(target, now.serves)
        results.drawn_notice(out, served is not None and served.metadata.get("data_label") == "drawn samples")
        results.examples(out, outcomes, limit=None)
    if hint := photos.again(outcomes):
        click.echo(typed(hint), err=True)
    if any(o.status != "SUCCEEDED" and o.error not in photos.FOR_REVIEW for o in outcomes):
        sys.exit(1)
