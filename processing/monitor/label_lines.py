"""The lines of label files: what one line says, in each form that people and tools write.

- JSON lines in SageMaker's Ground Truth form, `{"groundTruthData": {"data": .., "encoding": "CSV"}, "eventMetadata":
  {"eventId": ..}}`: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html
- JSON lines `{"inferenceId": .., "label": ..}`; `eventId` is taken too
- CSV with the columns `inferenceId` (or `eventId`) and `label`: in any order where the first line names them, separated
  by commas, semicolons or tabs
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from processing.monitor.lines import parse, text

_HEADINGS = {"inferenceid", "inference_id", "eventid", "event_id"}


class Entry(NamedTuple):
    """An inference id or event id with its label, None for "not labelled yet"; time and source are "" when missing."""

    identity: str
    label: Any
    time: str = ""
    source: str = ""


@dataclass
class Csv:
    """Reads the lines of one CSV file in their order; `columns` are the places of id and label once a line named them.

    The separator is the one that a line has most of.
    """

    columns: tuple[int, int] | None = None

    def entry(self, content: str) -> Entry | None:
        """What the line says; None for a line that names the columns. Raises one of lines.UNREADABLE."""
        content = content.strip("\r\n")
        cells = [cell.strip() for cell in _cells(content, max(",;\t", key=content.count))]
        names = [cell.lower() for cell in cells]
        identified = next((place for place, name in enumerate(names) if name in _HEADINGS), None)
        if identified is not None:
            self.columns = identified, names.index("label") if "label" in names else 1 - identified
            return None
        identity, label = (cells[place] for place in self.columns) if self.columns else cells
        return Entry(text(identity), label or None)


def of_json(content: bytes | str) -> Entry:
    """What a line of JSON says. Raises one of lines.UNREADABLE."""
    entry = parse(content)
    if "groundTruthData" not in entry:
        return Entry(text(entry.get("inferenceId") or entry["eventId"]), entry["label"])
    about, data = entry["eventMetadata"], entry["groundTruthData"]
    time, source = (str(about.get(name, "")) for name in ("labelTime", "labelSource"))
    return Entry(text(about["eventId"]), _label(data) if data else None, time, source)


def _label(data: Mapping[str, Any]) -> Any:
    """The label in a `groundTruthData`, None where there is none yet; one of UNREADABLE when it is no text."""
    value, encoding = data["data"], data.get("encoding", "CSV")
    if value is None or (encoding == "JSON" and not value.startswith('"')):
        return value
    if encoding == "JSON":
        return parse(value)
    if encoding != "CSV":
        raise ValueError("a label is text")
    (cell,) = _cells(value.strip())
    return cell


def _cells(content: str, delimiter: str = ",") -> list[str]:
    """The cells of one line of CSV; one of UNREADABLE for another number of lines."""
    (row,) = csv.reader([content], delimiter=delimiter, strict=True)
    return row
