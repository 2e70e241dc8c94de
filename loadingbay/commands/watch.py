"""`monitor`, `status` and `logs`: show figures of captured requests, the state of the stage, and logs."""

from __future__ import annotations

from dataclasses import asdict

import click

from loadingbay.options import AS_JSON, folder, new_screen, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Draw confidence, drift and accuracy.")
@with_target
@click.option("--history", is_flag=True, help="List what the schedule found, period by period, instead.")
@AS_JSON
def monitor(target: Target, history: bool, as_json: bool) -> None:
    """Draw confidence, drift and accuracy of what the version in service answered in the last days.

    This is no period of monitoring, and rings no alarm: the schedule does both.
    """
    if history:
        _history(target, as_json)
        return
    from loadingbay.screen import results
    from loadingbay.screen.progress import shown
    from loadingbay.serving.observe import monitor_now

    require_running(target)
    with new_screen() as screen, screen.part("Monitoring") as part:
        report, drawn = monitor_now(target, folder(), waiting=lambda status: screen.note(part, status))
        part.note = shown(report.folder)
    if as_json:
        print_json({**report.figures, "folder": str(report.folder), "job": report.job})
        return
    out = results.console()
    results.drawn_notice(out, drawn)
    results.monitored(out, report)


def _history(target: Target, as_json: bool) -> None:
    """Prints the periods of monitoring, the newest last, and the alarm."""
    from loadingbay.learning import periods, watcher
    from loadingbay.registry import versions as registry
    from loadingbay.screen.progress import typed
    from loadingbay.stack.deploy import outputs

    require_running(target)
    stack = outputs(target)
    watch, endpoint = periods.read(target, stack["BucketName"]), stack["EndpointName"]
    found = watcher.read(target, endpoint, serves=registry.endpoint(target, endpoint) is not None)
    if as_json:
        listed = [{**asdict(one), "time": one.time.isoformat()} for one in watch.periods]
        print_json({"periods": listed, "alarm": watch.alarm, "sentences": watch.sentences, "missing": found.missing})
        return
    if not watch.periods:
        when = f", {found.expression}," if found.expression else ""
        click.echo(f"The schedule{when} has found nothing yet: it needs photos that the version in service answered.")
    for one in watch.periods:
        accuracy = f"{one.accuracy.low:.2f} to {one.accuracy.high:.2f}" if one.accuracy else "not known"
        named = ", ".join(one.violations) or "-"
        click.echo(
            f"{one.time:%Y-%m-%d %H:%M}  version {one.version:>3}  {one.count:6d} answers  "
            f"{one.accepted:4.0%} accepted  accuracy {accuracy:>12}  {named}"
        )
    for sentence in watch.sentences:
        click.echo(f"Lasts: {sentence}")
    for sentence in found.missing:
        click.echo(f"Nothing watches now: {typed(sentence)}", err=True)


@click.command(short_help="Show what runs and what there is.")
@with_target
@AS_JSON
def status(target: Target, as_json: bool) -> None:
    """Show what runs: the cloud, the last pipeline execution, the versions, the endpoint, and what monitoring lacks."""
    from loadingbay.screen import results
    from loadingbay.serving.observe import status_of

    document = status_of(target)
    if as_json:
        print_json(document)
    else:
        results.status(results.console(), document)


@click.command(short_help="Print the log of a step or a Lambda.")
@with_target
@click.argument("step", required=False)
def logs(target: Target, step: str | None) -> None:
    """Print the log of a pipeline STEP, of `monitor`, `endpoint`, `cloud`, or of a Lambda such as `deploy_model`.

    `verification` is the log of the model server on which versions are verified before they serve.

    Without STEP: the step of the last execution that failed, else all of them.
    """
    from loadingbay.serving.observe import logs_of

    if step != "cloud":
        require_running(target)
    for line in logs_of(target, step):
        click.echo(line)
