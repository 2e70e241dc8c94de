"""`transform`: classify photos in S3 by a batch transform job."""

from __future__ import annotations

import click

from loadingbay.errors import UsageError
from loadingbay.options import AS_JSON, Number, new_screen, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Classify photos in S3 without an endpoint.")
@with_target
@click.argument("prefix")
@click.option("--version", "number", type=Number(1), help="Which version. [default: the newest approved]")
@click.option("--instance-type", default="ml.c5.xlarge", show_default=True, help="Its machines.")
@click.option("--instances", type=Number(1, 16), default=1, show_default=True, help="How many, 1 to 16.")
@AS_JSON
def transform(
    target: Target, prefix: str, number: int | None, instance_type: str, instances: int, as_json: bool
) -> None:
    """Classify every photo below PREFIX of the stage's bucket by a batch transform job of a registered version.

    The job has machines of its own for as long as it takes, so it needs no endpoint and holds up none. Nothing is
    routed and nobody is asked: the answers are written to S3. `bulk` does both, by the endpoint.
    """
    from loadingbay.registry import versions as registry
    from loadingbay.serving import transform as work
    from loadingbay.serving.bulk import prefix_in
    from loadingbay.stack.deploy import outputs

    require_running(target)
    stack = outputs(target)
    version = registry.numbered(target, number) if number else registry.due(target)
    if version is None:
        raise UsageError("no version is approved: name one with --version, `loadingbay status` lists them")
    with new_screen() as screen, screen.part("Transform") as part:
        done = work.transform(
            target,
            stack,
            version,
            prefix_in(stack["BucketName"], prefix, "a prefix"),
            instance_type=instance_type,
            instances=instances,
            waiting=lambda status: screen.note(part, f"version {version.number}; the job is {status}"),
        )
        part.note = f"{done.photos} photos by version {done.version} in {done.seconds:.1f} s"
    if as_json:
        print_json(done.document())
        return
    for vehicle, count in done.accepted.items():
        click.echo(f"{vehicle:<26} {count:>8,}")
    click.echo(f"{'below a threshold':<26} {done.review:>8,}")
    click.echo(f"Every answer: {done.results}")
