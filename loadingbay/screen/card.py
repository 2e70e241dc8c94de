"""Prints a model card on stdout: sentences, then its figures, then what the registry holds of the version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadingbay.registry.cards import Card

_USES = {
    "purpose_of_model": "Purpose",
    "intended_uses": "Intended uses",
    "factors_affecting_model_efficiency": "What affects it",
    "explanations_for_risk_rating": "Risk",
}


def show(out: Console, card: Card) -> None:
    """Print the whole model card."""
    overview = card.content.get("model_overview", {})
    changed = f"{card.changed:%Y-%m-%d %H:%M:%S}"
    out.print(Text.assemble((card.name, "bold"), f"  {card.status}, revision {card.revision} of {changed}"))
    out.print(Text(overview.get("model_description", "")))
    _uses(out, card.content.get("intended_uses", {}))
    figures = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("evaluation", "figure", "value", ""):
        figures.add_column(heading, justify="right" if heading == "value" else "left")
    before = ""
    for evaluation, name, value, note in card.figures():
        figures.add_row("" if evaluation == before else evaluation, name, f"{value:.4g}", note)
        before = evaluation
    if before:
        out.print(figures)
    else:
        out.print(Text("It says no figures: no evaluation could be read.", style="yellow"))
    details = card.content.get("additional_information", {}).get("custom_details", {})
    rows = {**_made_of(card.content), **dict(sorted(details.items()))}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name.replace("_", " "), Text(text))
    out.print(table)


def _uses(out: Console, uses: Mapping[str, Any]) -> None:
    """Print the card's intended uses and risk, those that are filled in."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for key, heading in _USES.items():
        if uses.get(key):
            rating = f"{uses.get('risk_rating', 'Unknown')}. " if heading == "Risk" else ""
            table.add_row(heading, Text(f"{rating}{uses[key]}"))
    out.print(table)


def _made_of(content: Mapping[str, Any]) -> dict[str, str]:
    """Where the artifact lies, and which job and image made it."""
    job = content.get("training_details", {}).get("training_job_details", {})
    return {
        "artifact": " ".join(content.get("model_overview", {}).get("model_artifact", [])),
        "training job": job.get("training_arn", "not known"),
        "image": " ".join(job.get("training_environment", {}).get("container_image", [])),
    }
