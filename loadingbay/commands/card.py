"""`card`: print the model card of a version."""

from __future__ import annotations

import click

from loadingbay.options import AS_JSON, Number, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Show a version's model card.")
@with_target
@click.argument("version", type=Number(1))
@AS_JSON
def card(target: Target, version: int, as_json: bool) -> None:
    """Show the model card of version VERSION: purpose, data, figures, threshold, and who approved it.

    SageMaker keeps each change of a card. With --json, the card in SageMaker's own schema.
    """
    from loadingbay.registry import cards
    from loadingbay.screen import card as page
    from loadingbay.screen import results

    require_running(target)
    found = cards.card(target, version)
    if as_json:
        print_json(found.document())
    else:
        page.show(results.console(), found)
