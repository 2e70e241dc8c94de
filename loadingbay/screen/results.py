"""Prints the results of commands on stdout: tables and sentences."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadingbay.registry.history import Period
from loadingbay.registry.plan import details
from loadingbay.registry.versions import APPROVALS, Version
from loadingbay.screen.progress import Output, command, duration, shown, typed
from loadingbay.serving.monitoring import Report
from loadingbay.serving.photos import FOR_REVIEW, Outcome, counted
from loadingbay.story.run import Finished
from loadingbay.story.summary import DRAWN, Summary
from loadingbay.target import Target

_EXAMPLES = 3
_UNLIMITED = 10_000  # columns: no comment is as long


def console() -> Console:
    """Return the console that prints results on stdout; for a file or a pipe it is so wide that no line is cut."""
    return Output(width=None if sys.stdout.isatty() else _UNLIMITED)


def drawn_notice(out: Console, drawn: bool) -> None:
    """Says plainly that figures are of drawn samples, when they (or some of a list) are."""
    if drawn:
        out.print(Text(DRAWN, style="bold yellow"))


def drawn_versions(out: Console, versions: list[dict[str, Any]]) -> None:
    """Says which of the listed versions learned from drawn samples; the notice over everything only if all did."""
    drawn = list(dict.fromkeys(str(one["version"]) for one in versions if one.get("data_label") == "drawn samples"))
    if all(one.get("data_label") == "drawn samples" for one in versions):
        drawn_notice(out, bool(drawn))
    elif drawn:
        one = len(drawn) == 1
        text = f"Version{'' if one else 's'} {', '.join(drawn)} learned from drawn samples, not from photos."
        out.print(Text(text, style="yellow"))


def figures(out: Console, summary: Summary, version: Version) -> None:
    """Print the main figures of the version in one line."""
    reached = "" if summary.coverage is None else f", {summary.coverage:.0%} of photos reach it"
    if summary.coverage and summary.accepted_precision is not None:
        reached += f", {summary.accepted_precision:.1%} of those are right"
    if (summary.threshold or 0) > 1:
        reached = ": every photo goes to a person"
    accuracy = f"{summary.accuracy or 0:.1%}"
    rest = f", threshold {summary.threshold or 0:.3f}{reached}"
    out.print(
        Text.assemble("Model version ", (str(version.number), "bold"), ": test accuracy ", (accuracy, "bold"), rest)
    )


def routes(out: Console, outcomes: list[Outcome]) -> None:
    """Where the drivers were sent: a line for each vehicle and bay, and one for what a person has to look at."""
    sent = Counter(
        (o.vehicle or "", o.loading_bay or "", _reach(o)) for o in outcomes if o.status == "SUCCEEDED"
    )  # fmt: skip
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("vehicle", "loading bay", "orders"):
        table.add_column(heading)
    table.add_column("photos", justify="right")
    for (vehicle, bay, reach), count in sorted(sent.items()):
        table.add_row(vehicle, bay, reach, str(count))
    counts = Counter(o.error for o in outcomes if o.error)
    for error in [known for known in FOR_REVIEW if known in counts]:
        table.add_row(FOR_REVIEW[error], "review queue", "", str(counts.pop(error)), style="yellow")
    for error, count in counts.items():
        table.add_row("failed", error, "", str(count), style="red")
    out.print(table)


def examples(out: Console, outcomes: list[Outcome], limit: int | None = _EXAMPLES) -> None:
    """A line for each photo; with a limit, at most so many of each kind: routed wrongly, failed, refused, routed.

    Within a kind the surest come first: of what went wrong those are worth a look.
    """
    kinds: dict[int, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda o: -(o.confidence or 0)):
        kinds.setdefault(_kind(outcome), []).append(outcome)
    chosen = [outcome for kind in sorted(kinds) for outcome in kinds[kind][:limit]]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("photo")
    table.add_column("vehicle")
    table.add_column("confidence", justify="right")
    table.add_column("outcome", overflow="fold")
    for o in chosen if limit else outcomes:
        confidence = "" if o.confidence is None else f"{o.confidence:.3f}"
        text, style = _outcome(o)
        table.add_row(o.photo, o.vehicle or "", confidence, text, style=style)
    out.print(table)


def _kind(o: Outcome) -> int:
    if o.wrong:
        return 0
    return 3 if o.status == "SUCCEEDED" else 2 if o.error in FOR_REVIEW else 1


def _outcome(o: Outcome) -> tuple[str, str]:
    """Return what became of a photo as a sentence, and the colour that it is printed in ("" for none)."""
    if o.wrong:
        return f"{o.loading_bay}, wrongly: it is a {o.label}", "red"
    if o.status == "SUCCEEDED":
        return f"{o.loading_bay}, orders {_reach(o)}", ""
    if o.error in FOR_REVIEW:
        return f"{FOR_REVIEW[o.error]}: queued for review", "yellow"
    return f"{o.error}: {o.cause}", "red"


def _reach(o: Outcome) -> str:
    """Return the distance range of an outcome as text, such as `0 to 3 km`."""
    return f"{o.order_range['from_km']:g} to {o.order_range['to_km']:g} km" if o.order_range else ""


def finished(out: Console, done: Finished, root: Path, *, data: str = "", local: bool = False) -> None:
    """The end of a run that approved: figures, routes, the picture, durations, and what to try next.

    `data` are the options that name its data and classes, as typed; `local`: it was on the local cloud, which runs on.
    """
    summary, latest = done.summary, root / "runs" / "latest"
    out.print()
    drawn_notice(out, summary.drawn)
    for sentence in _known(done):
        out.print(sentence, soft_wrap=True)
    figures(out, summary, done.version)
    out.print(f"{len(summary.outcomes)} test photos: {counted(summary.outcomes)}")
    out.print()
    routes(out, summary.outcomes)
    out.print()
    examples(out, summary.outcomes)
    out.print()
    out.print(Text.assemble("Picture  ", (shown(Path(summary.report or "")), "bold")), soft_wrap=True)
    out.print(f"Summary  {shown(latest / 'summary.json')}", soft_wrap=True)
    out.print(f"Time     {duration(summary.document()['seconds']['total'])}")
    out.print()
    photo = next(iter(sorted((done.folder / "photos").glob("*.*g"))), None)
    out.print("Try next:")
    out.print(f"  {command()} classify {shown(latest / 'photos' / photo.name) if photo else 'PHOTO'}", soft_wrap=True)
    out.print(f"  {command()} run{f' {data}' if data else ''} --learning-rate 0.03", soft_wrap=True)
    out.print(f"  {command()} console   a page to approve, review, watch and try", soft_wrap=True)
    if local:
        out.print(f"  {command()} down      stops the local cloud, which runs on until then", soft_wrap=True)


def _known(done: Finished) -> list[str]:
    """Sentences on whether the version was registered before, and on what was decided about it by now."""
    said = f": {done.version.comment}" if done.version.comment else ""
    decided = {"Approved": "It is approved already.", "Rejected": f"It was rejected{said}."}
    before = [] if done.new else [f"Nothing changed: this is version {done.version.number}, registered before."]
    return before + ([decided[done.version.approval]] if done.version.approval in decided else [])


def pending(out: Console, done: Finished, target: Target) -> None:
    """The end of a run that leaves the approval to a person."""
    summary, version = done.summary, done.version
    out.print()
    drawn_notice(out, summary.drawn)
    figures(out, summary, version)
    out.print(f"Time  {duration(summary.document()['seconds']['total'])}")
    out.print()
    asked = {
        "Approved": [],
        "Rejected": ["Approve it if it is to serve after all:"],
        "PendingManualApproval": ["It waits for approval; until then nothing is deployed. Approve it:"],
    }[version.approval]
    out.print(*_known(done), *asked, soft_wrap=True)
    if not asked:
        return
    out.print(f'  {command()} approve {version.number} --comment "why"', soft_wrap=True)
    out.print("or, the same through the AWS API:")
    out.print(f"  {aws_approval(target, version)}", soft_wrap=True)


def aws_approval(target: Target, version: Version) -> str:
    """The AWS command that approves the version, ready to be typed; the secret stays in the local cloud's file."""
    said = {name: value for name, value in target.environment.items() if "ACCESS_KEY" not in name}
    if target.home is not None:
        said["AWS_SHARED_CREDENTIALS_FILE"] = str(target.home / "credentials")
    variables = [f"{name}={shlex.quote(value)}" for name, value in said.items()]
    words = [command("aws"), "sagemaker", "update-model-package", "--model-package-arn", version.arn]
    words += ["--model-approval-status", "Approved", "--approval-description", "why"]
    return " ".join([*variables, *map(shlex.quote, words)])


def monitored(out: Console, report: Report) -> None:
    """Print the figures of monitoring, and the paths of its pictures."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in report.figures.items():
        if isinstance(value, (int, str)) or value is None:
            table.add_row(name.replace("_", " "), str(value))
        elif isinstance(value, float):
            table.add_row(name.replace("_", " "), f"{value:.3f}")
    out.print(table)
    out.print(f"The picture: {shown(report.picture)}", soft_wrap=True)
    out.print(
        f"This is no period of monitoring: the schedule makes those, and `{command()} monitor --history` lists them.",
        soft_wrap=True,
    )


def status(out: Console, document: dict[str, Any]) -> None:
    """Print the state of a stage, as `loadingbay status` shows it."""
    cloud = document["cloud"]
    place = cloud["endpoint_url"] or "AWS"
    if not cloud["running"]:
        out.print(f"The local cloud is not running ({place}); `{command()} up` starts it.", soft_wrap=True)
        return
    out.print(f"Cloud     {place}")
    deployed = "deployed" if document["stack"]["outputs"] else f"not deployed: `{command()} deploy` deploys it"
    out.print(f"Stack     {document['stack']['name']}, {deployed}", soft_wrap=True)
    pipeline = document["pipeline"]
    if pipeline is None:
        out.print(f"Pipeline  no execution yet: `{command()} run` starts one", soft_wrap=True)
    else:
        failure = f": {pipeline['failure']}" if pipeline["failure"] else ""
        out.print(f"Pipeline  {pipeline['arn'].rsplit('/', 1)[-1]} {pipeline['status']}{failure}", soft_wrap=True)
        widest = max((len(step["name"]) for step in pipeline["steps"]), default=0)
        for step in pipeline["steps"]:
            took = "from the cache" if step["cached"] else duration(step["seconds"] or 0)
            out.print(f"          {step['name']:<{widest}} {step['status']:<10} {took}")
    endpoint = document["endpoint"]
    if endpoint is None:
        approved = next((one["version"] for one in document["versions"] if one["approval"] == "Approved"), None)
        gone = f"gone, though version {approved} is approved: DeployModel makes it again, within the hour at the latest"
        none = f"none yet: `{command()} approve VERSION` deploys one"
        out.print(f"Endpoint  {gone if approved else none}", soft_wrap=True)
    else:
        serves = (endpoint["model_package_arn"] or "").rsplit("/", 1)[-1]
        failure = f": {endpoint['failure']}" if endpoint["failure"] else ""
        shadow = (endpoint.get("shadow_model_package_arn") or "").rsplit("/", 1)[-1]
        copies = f", shadow version {shadow}" if shadow else ""
        out.print(f"Endpoint  {endpoint['name']} {endpoint['status']}, version {serves or 'unknown'}{copies}{failure}")
    watches = document.get("monitoring")
    if watches and not watches["missing"]:
        out.print(f"Watch     {watches['pipeline']}, {watches['schedule']}", soft_wrap=True)
    elif watches and (pipeline is not None or not watches["enabled"]):  # else the line above says what comes first
        for sentence in watches["missing"]:
            out.print(f"Watch     {typed(sentence)}", soft_wrap=True)
    if document["versions"]:
        out.print()
        drawn_versions(out, document["versions"])
        out.print(_versions(document["versions"]))


def history(out: Console, periods: list[Period]) -> None:
    """Print the periods in which the endpoint served each version, newest first."""
    if not periods:
        out.print(f"Nothing was in service yet: `{command()} approve VERSION` deploys a version.", soft_wrap=True)
        return
    drawn_versions(out, [{**one.metadata, "version": one.version} for one in periods if one.version])
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("version", "from", "until", "accuracy", "threshold", "approved by"):
        numeric = name in {"version", "accuracy", "threshold"}
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
    table.add_column("comment")
    for period in periods:
        until = f"{period.until.astimezone():%Y-%m-%d %H:%M:%S}" if period.until else ""
        table.add_row(
            str(period.version or "?"),
            f"{period.since.astimezone():%Y-%m-%d %H:%M:%S}",
            until or ("in service" if period.in_service else "the endpoint is gone"),
            _share(period.metadata.get("accuracy")),
            _three_digits(period.metadata.get("threshold")),
            period.approved_by.rsplit("/", 1)[-1],
            _comment(
                f"shadow: version {period.shadow}; {period.comment}".rstrip("; ") if period.shadow else period.comment
            ),
        )
    out.print(table)


def plan(out: Console, document: dict[str, Any]) -> None:
    """Print the plan of DeployModel: the steps it would take if all of them succeed."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("step", "action", "of"):
        table.add_column(name, no_wrap=name != "of")
    for step, planned in enumerate(document["course"], start=1):
        table.add_row(str(step), Text(planned["outcome"], style="bold"), planned["because"])
        for action in planned["actions"]:
            table.add_row("", action["action"], Text(details(action)))
    out.print(table)


def _versions(versions: list[dict[str, Any]]) -> Table:
    """Return a table of versions, one line each."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("version", "approval", "accuracy", "threshold", "coverage", "data", "registered"):
        numeric = name in {"version", "accuracy", "threshold", "coverage"}
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True, min_width=len(name))
    table.add_column("comment")
    for version in versions:
        table.add_row(
            str(version["version"]),
            APPROVALS.get(version["approval"], version["approval"]),
            _share(version.get("accuracy")),
            _three_digits(version.get("threshold")),
            _share(version.get("coverage")),
            version.get("data_label", ""),
            f"{datetime.fromisoformat(version['created']).astimezone():%d %b %H:%M}",
            _comment(version["comment"]),
        )
    return table


def _comment(text: str) -> Text:
    """Return a comment that is cut where a terminal is narrow: its column gives way before the others do."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def _share(text: str | None) -> str:
    """Return a share such as `0.934` as a percentage such as `93.4%`."""
    return _number(text, ".1%")


def _three_digits(text: str | None) -> str:
    """Return a threshold such as `0.8057` as `0.806`, as the end of a run has it."""
    return _number(text, ".3f")


def _number(text: str | None, form: str) -> str:
    """Return a number of a version's metadata in that form; empty where it is none."""
    try:
        return format(float(text or ""), form)
    except ValueError:
        return ""
