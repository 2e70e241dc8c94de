"""`bulk`: classify thousands of photos in one run of the bulk state machine."""

from __future__ import annotations

from pathlib import Path

import click

from loadingbay.errors import WorkError
from loadingbay.options import AS_JSON, new_screen, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Classify a whole folder, or a prefix in S3.")
@with_target
@click.argument("where", metavar="FOLDER|PREFIX")
@AS_JSON
def bulk(target: Target, where: str, as_json: bool) -> None:
    """Classify every photo of a local FOLDER, which is uploaded, or below a PREFIX of the stage's bucket.

    Photos that the model is not sure about go to the review queue; every answer is written to S3. One photo in twenty
    may fail before the run does.
    """
    from loadingbay.registry import versions as registry
    from loadingbay.serving import bulk as work
    from loadingbay.stack.deploy import outputs

    require_running(target)
    stack = outputs(target)
    if registry.endpoint(target, stack["EndpointName"]) is None:
        raise WorkError(
            "no model is deployed yet: `loadingbay status` shows the versions, `loadingbay approve` deploys"
        )
    with new_screen() as screen, screen.part("Photos") as part:
        if where and Path(where).is_dir():
            prefix = work.upload(
                target,
                Path(where),
                stack["BucketName"],
                done=lambda n: screen.note(part, f"{n} uploaded"),
                say=screen.say,
            )
        else:
            prefix = work.prefix_in(stack["BucketName"], where)
        done = work.classify(target, stack, prefix, waiting=lambda said: screen.note(part, said))
        part.note = f"{done.photos} in {done.seconds:.1f} s, {done.photos / max(done.seconds, 1e-3):.0f} a second"
    if as_json:
        print_json(done.document())
        return
    for vehicle, count in done.routed.items():
        click.echo(f"{vehicle:<26} {count:>8,}")
    click.echo(f"{'not sure: review queue':<26} {done.review:>8,}")
    click.echo(f"{'failed':<26} {len(done.failed):>8,}")
    if done.left_out:
        click.echo(f"{'left out: no photos':<26} {done.left_out:>8,}")
    for key, said in list(done.failed.items())[:5]:
        click.echo(f"  {key}: {said}")
    click.echo(f"Every answer: {done.results}")
