"""Many executions of a state machine and many objects, as copies of the one that a home has."""

import json
from pathlib import Path

from localcloud.ministack.database import Database
from localcloud.ministack.execution_store import SCHEMA

STATE_MACHINE = json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}})
OBJECT = "captures/00000000"


def copy_states(home: Path, number: int) -> None:
    """Copies of the only execution of a state machine, with names of their own."""
    database = Database(home / "emulator" / "state" / "traffic.sqlite", SCHEMA)
    [(account, region, arn, *others, document)] = database.rows("SELECT * FROM executions")
    name = arn.rpartition(":")[2]
    with database.transaction() as write:
        for count in range(1, number):
            copied = f"{count:036x}"
            renamed = document.replace(name.encode(), copied.encode())
            row = (account, region, arn.replace(name, copied), *others, renamed)
            write.execute("INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    database.close()


def copy_objects(home: Path, number: int) -> None:
    """Copies of the object that OBJECT names, with keys of their own."""
    [data] = (home / "emulator" / "s3").glob(f"*/growth/{OBJECT}")
    sidecar = data.with_name(f"{data.name}.meta.json")
    body, text = data.read_bytes(), sidecar.read_text(encoding="utf-8")
    for count in range(1, number):
        name = f"{count:08}"
        data.with_name(name).write_bytes(body)
        data.with_name(f"{name}.meta.json").write_text(text.replace(data.name, name), encoding="utf-8")
