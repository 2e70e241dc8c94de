"""The table of faults for the docs: one row for each fault under load, and what was measured beside it."""

import json
import textwrap
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.faults.load import CONNECTIONS, EACH_PER_SECOND

_PAGE = """\
# Faults

What happens to requests, answers and captures when something breaks, measured by `make faults` on {date}
({cpu}, {cores} cores; {minutes:.0f} min, once a version is trained). This page is written by that command, which
fails when a promise below is broken. `make test` runs three: UpdateEndpoint, a killed worker, a killed model server.

{connections} connections ask the endpoint through InvokeEndpoint, each up to {each:.0f} times a second and with no
retries, for photos whose answers are known: what the artifact's own handler says, asked in a process of its own. An
answer is wrong when it is not what the version that gave it says of that photo, to {same:g}. A capture is lost when an
answer was given and its inference id is in no capture file afterwards.

| fault | requests | failed | wrong answers | captures lost | longest time without an answer | slowest answer |
| -- | -- | -- | -- | -- | -- | -- |
{rows}

{notes}

{kills}
{jobs}
## What is promised

- While versions are switched, by approval, rejection or UpdateEndpoint, and when a version that is approved turns out
  to be broken, wrong or slow: no request fails, and no bad version ever answers one.
- A worker of the model server that dies is replaced, and its requests are asked again. When the whole model server
  dies, requests wait for the next one (at most 30 s), and none fails.
- When the whole local cloud is killed, requests fail until it is started again; every answer that was given has its
  capture, which was on disk before the answer went out.
- What was acknowledged is so after a kill: versions and their approval, S3 objects and versions, messages sent and
  deleted, executions (one that was running has failed with `States.ServiceRestart`), log lines, captures, rules.
- A full queue refuses at once: the model server says 503 with `Retry-After`. InvokeEndpoint shows it as AWS does, a
  `ModelError` with `OriginalStatusCode` 503; SDKs do not retry it by themselves, so whoever calls should.
- A malformed body gets a 4xx with a sentence in JSON, and disturbs nobody else's request.

What was tried with odd inputs and requests: [odd inputs](odd-inputs.md).

## Beside it

| measured | value |
| -- | -- |
{figures}
"""


@dataclass(frozen=True)
class Row:
    """What was done under load, and what it cost."""

    fault: str
    requests: int
    failed: int
    wrong: int
    captures_lost: int
    gap: float
    """The longest time without an answer, seconds."""
    slowest: float
    """The longest that an answered request took, seconds."""
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """Something measured on the way."""

    what: str
    value: float
    unit: str


@dataclass
class Table:
    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def write(self, folder: Path, minutes: float, same: float) -> None:
        """faults.md and faults.json."""
        told = {"rows": [asdict(row) for row in self.rows], "figures": [asdict(figure) for figure in self.figures]}
        (folder / "faults.json").write_text(json.dumps(told, indent=1) + "\n")
        noted = [row for row in self.rows if row.note]
        page = _PAGE.format(
            date=datetime.now(UTC).strftime("%-d %B %Y"),
            cpu=_cpu(),
            cores=len(_processors()),
            minutes=minutes,
            connections=CONNECTIONS,
            each=EACH_PER_SECOND,
            same=same,
            rows="\n".join(_line(row) for row in self.rows),
            notes="\n".join(
                textwrap.fill(f"- {row.fault}: {row.note}", 118, subsequent_indent="  ", break_long_words=False)
                for row in noted
            ),
            kills=_kills(folder / "kills.json"),
            jobs=_jobs(folder / "jobs.json"),
            figures="\n".join(f"| {figure.what} | {figure.value:.2f} {figure.unit} |" for figure in self.figures),
        )
        (folder / "faults.md").write_text(page)


def _line(row: Row) -> str:
    return (
        f"| {row.fault} | {row.requests:,} | {row.failed:,} | {row.wrong} | {row.captures_lost} | "
        f"{row.gap:.2f} s | {row.slowest:.2f} s |"
    )


_KILLS = """\
## Kills under mixed load

`tests/e2e/faults/kill_load.py` kills a local cloud of its own ({kills} times, seed {seed}) at random moments while
twelve threads register and approve versions, overwrite S3 objects, send, receive and delete messages, start executions,
write log lines, invoke an endpoint with capture, put rules, and make, change and remove resources of other kinds;
{kept:,} log lines are kept. After each start what had been acknowledged is compared, after the last one all of it.
`make test` does 4 kills.

| acknowledged | count |
| -- | -- |
{rows}
| **of all these lost** | **{lost}** |

The slowest start took {slowest_start:.1f} s, the last stop {down:.1f} s.
"""
_KINDS = {
    "packages": "model packages, each with an approval",
    "objects": "S3 objects, overwritten",
    "versions": "versions of S3 objects",
    "sent": "messages sent",
    "deleted": "messages deleted",
    "executions": "executions started",
    "lines": "log lines",
    "inferences": "captured answers",
    "rules": "rules",
    "resources": "resources of 19 kinds that are changed and removed",
    "changed": "changes of these",
}


def _kills(path: Path) -> str:
    """The section about kills, from what the test of kills wrote; nothing without it."""
    if not path.is_file():
        return ""
    told = json.loads(path.read_text(encoding="utf-8"))
    counts = told.pop("acknowledged")
    rows = "\n".join(f"| {_KINDS[kind]} | {count:,} |" for kind, count in counts.items())
    return _KILLS.format(rows=rows, **told)


_JOBS = """\
## Jobs that do not want to end

`tests/e2e/faults/test_jobs.py` runs a local cloud beside another one and beside processes that are no local cloud's.
{hostile} jobs start daemons, fork twice, kill their parent and all that they see, read or unmount the cloud's home, set
`PATH` and `LD_PRELOAD`, or ignore SIGTERM. One that starts thousands of processes is ended at its limit, with a reason
that says so. Then {starts} jobs are started, most of which leave a process behind. At last the cloud is killed while
{at_once} jobs are there, and started again.

| counted | value |
| -- | -- |
| jobs that failed of {starts} started | {failed} |
| processes of jobs that were left | {left} |
| processes of others that were touched | {touched} |
"""


def _jobs(path: Path) -> str:
    """The section about jobs, from what the test of jobs wrote; nothing without it."""
    return _JOBS.format(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ""


def _processors() -> list[str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]


def _cpu() -> str:
    return next(iter(_processors()), "unknown processor")
