"""`compare`: compare a version with the approved one, and a shadow with the version in service on live requests."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from loadingbay.options import AS_JSON, Number, folder, print_json, require_running, with_target
from loadingbay.target import Target

if TYPE_CHECKING:
    from loadingbay.learning import comparison
    from loadingbay.learning.live_comparison import LiveComparison, Share

_LISTED = 10  # requests that were answered differently, the newest


@click.command(short_help="Compare a version with the approved one.")
@with_target
@click.argument("version", type=Number(1))
@click.option("--promote", is_flag=True, help="Then approve it: a shadow that convinced comes into service.")
@AS_JSON
def compare(target: Target, version: int, promote: bool, as_json: bool) -> None:
    """Show how VERSION answers beside the version that was approved when it was trained.

    On the same photos: the test photos, and those that people labelled lately and no version was trained on.

    A version that is the shadow (`approve --shadow`) is also compared with the version in service, on the live
    requests that both answered. The photos on which they differ are written to a folder below `runs/`.
    """
    from loadingbay.commands.versions import decide_and_wait
    from loadingbay.learning import comparison, live_comparison
    from loadingbay.registry.versions import numbered
    from loadingbay.stack.deploy import outputs

    require_running(target)
    chosen = numbered(target, version)
    found = comparison.compare(target, chosen)
    shadows = chosen.shadow == "Approved" and chosen.approval == "PendingManualApproval"
    live = live_comparison.compare(target, outputs(target), chosen) if shadows else None
    if as_json:
        print_json({**asdict(found), "live": live and live.document()})
    else:
        _print_tests(found)
        if live is not None:
            _print_live(live)
    if promote:
        comment = f"promoted from shadow: agreed on {_said(live.agreement)}" if live else ""
        decide_and_wait(target, chosen, approve=True, comment=comment, as_json=False)


def _print_tests(found: comparison.Comparison) -> None:
    """Prints the tests in which the version was compared when it was trained."""
    if found.reason:
        click.echo(f"Why version {found.number} exists: {found.reason}")
    if not found.tests:
        click.echo("There was no approved version to compare it with.")
    for test in found.tests:
        click.echo(
            f"{test.count} {test.name}: {test.accuracy:.1%} right, the approved version {test.approved:.1%}; "
            f"{test.won} won and {test.lost} lost (McNemar's exact p {test.p:.2g})"
        )


def _print_live(live: LiveComparison) -> None:
    """Prints how the shadow answers beside the version in service, and writes the photos on which they differ."""
    if not live.requests:
        click.echo(f"Version {live.shadow} is the shadow of version {live.live}; no request was answered by both yet.")
        return
    missing = f" ({live.not_copied} more were answered in service only)" if live.not_copied else ""
    click.echo(f"{live.requests} live requests since version {live.shadow} is the shadow of {live.live}{missing}:")
    click.echo(f"  the same answer    {_said(live.agreement)}")
    if live.p is None:
        click.echo("  how right          not known: no request has a label yet (`loadingbay review`, `label`)")
    else:
        click.echo(f"  version {live.live} right   {_said(live.live_accuracy)}")
        click.echo(f"  version {live.shadow} right   {_said(live.shadow_accuracy)}")
        click.echo(f"  the shadow won {live.won} and lost {live.lost} labelled photos (McNemar's exact p {live.p:.2g})")
    place = folder() / "runs" / f"shadow-{live.shadow}"
    shutil.rmtree(place, ignore_errors=True)  # the photos of an earlier comparison
    for pair in live.differing:
        place.mkdir(parents=True, exist_ok=True)
        name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in pair.inference_id)[:100]
        kind = "png" if pair.live.photo.startswith(b"\x89PNG") else "jpg"
        (place / f"{name}.{kind}").write_bytes(pair.live.photo)
    for pair in live.differing[: -_LISTED - 1 : -1]:
        click.echo(
            f"  {pair.inference_id}: version {live.live} {pair.live.label} {pair.live.confidence:.2f}, version "
            f"{live.shadow} {pair.shadow.label} {pair.shadow.confidence:.2f}"
            + (f", is {pair.truth}" * bool(pair.truth))
        )
    if live.differing:
        rest = len(live.differing) - _LISTED
        more = f"{rest} more differ, which `--json` lists. " if rest > 0 else ""
        click.echo(f"{more}The photos that they answered differently are in {place}")


def _said(share: Share) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "of none"
    return f"{share.value:.1%} of {share.count} (95 % interval {share.low:.1%} to {share.high:.1%})"
