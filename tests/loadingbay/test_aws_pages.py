"""Pages about AWS name files and parameters that exist, and their sums are right."""

import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("aws*.md"))
TEMPLATE = yaml_parse((ROOT / "workflow" / "template.yaml").read_text())


def _tables(text):
    """The tables of numbers: lists of rows of cells."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            found.append(rows)
            rows = []
    return [rows for rows in found if any("together" in row[0] for row in rows)]


def _number(cell):
    return float(cell.strip("*") or 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    for name in re.findall(r"\b(?:workflow|tests|docs)/[\w./-]+", page.read_text()):
        assert (ROOT / name.rstrip(".")).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_adds_up_is_the_sum(page):
    tables = _tables(page.read_text())
    assert tables
    for rows in tables:
        head, *lines = [row for row in rows if not set("".join(row)) <= set("-: ")]
        *parts, total = lines
        for column, title in enumerate(head):
            if title.startswith("$"):
                assert sum(_number(row[column]) for row in parts) == pytest.approx(_number(total[column]), abs=5e-5)


def test_the_parameters_that_the_pages_set_are_the_templates():
    set_ = {name for page in PAGES for name in re.findall(r"--parameter (\w+)=", page.read_text())} - {"NAME"}
    assert set_
    assert set_ <= set(TEMPLATE["Parameters"])


def test_the_page_counts_the_alarms_that_there_are():
    alarms = sum(resource["Type"] == "AWS::CloudWatch::Alarm" for resource in TEMPLATE["Resources"].values())
    names = {5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}
    assert f"| {names[alarms]} alarms | {alarms} x 0.10 a month |" in (ROOT / "docs" / "aws.md").read_text()


def test_the_page_counts_the_interface_endpoints_and_their_price():
    network = yaml_parse((ROOT / "workflow" / "network.yaml").read_text())
    count = sum(made["Properties"].get("VpcEndpointType") == "Interface" for made in network["Resources"].values())
    zones, hour = 2 * count, 2 * count * 0.01
    said = f"{count} interface endpoints in two zones are {zones} x 0.01 = {hour:.2f} an hour, {730 * hour:.0f} a month"
    assert said in " ".join((ROOT / "docs" / "aws.md").read_text().split())
