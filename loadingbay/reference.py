"""Writes the command line's reference from its own commands: `python -m loadingbay.reference > docs/cli.md`."""

from __future__ import annotations

from typing import Any

import click

from loadingbay.cli import cli

_HEAD = """# The command line

Written by `python -m loadingbay.reference > docs/cli.md`; a test keeps it complete.

Progress goes to stderr, results to stdout; with `--json` stdout carries JSON and nothing else. Exit codes: 0 done,
1 the work failed, 2 wrong use, 130 interrupted, 141 nobody reads the output any more (`| head`). An error is one
sentence; `LOADINGBAY_DEBUG=1` adds the traceback.

Ctrl-C stops the pipeline execution cleanly. What it finished is kept, and the next `loadingbay run` goes on from there.
The local cloud keeps running; `loadingbay down` stops it.

| variable | meaning |
|---|---|
| `AWS_ENDPOINT_URL` | talk to what answers there, with the credentials of the environment |
| `LOADINGBAY_CLOUD` | `aws`: talk to AWS, with its ordinary chain of credentials; it costs money there |
| `LOADINGBAY_PORT` | port of the local cloud, 4747 unless set |
| `LOADINGBAY_FOLDER` | where `.loadingbay` and `runs` lie: the project's folder unless set |
| `LOADINGBAY_DEBUG` | `1`: tracebacks |
| `CIFAR100_ARCHIVE` | the archive that `run` reads when `--data` is not given |
| `XDG_CACHE_HOME` | downloads are kept in `loadingbay` below it; `~/.cache` unless set |
"""


def page() -> str:
    """The whole page as markdown."""
    context = click.Context(cli, info_name="loadingbay", **cli.context_settings)
    parts = [_HEAD, f"## `loadingbay [OPTIONS] COMMAND`\n\n{_options(cli, context)}"]
    for name in cli.list_commands(context):
        command = cli.commands[name]
        inner = click.Context(command, info_name=name, parent=context)
        usage = " ".join([f"loadingbay {name}", *command.collect_usage_pieces(inner)])
        parts.append(f"## `{usage}`\n\n{_paragraphs(command.help)}\n\n{_options(command, inner)}")
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(block.split()) for block in (text or "").split("\n\n")).strip()


def _options(command: click.Command, context: click.Context) -> str:
    """Return the options of a command as a Markdown table."""
    rows = ["| option | meaning |", "|---|---|"]
    for parameter in command.get_params(context):
        record: Any = parameter.get_help_record(context)
        if record:
            # A bar would end the table's cell, also inside backticks.
            option, meaning = (" ".join(text.split()).replace("|", "\\|") for text in record)
            rows.append(f"| `{option}` | {meaning} |")
    return "\n".join(rows)


if __name__ == "__main__":
    click.echo(page(), nl=False)
