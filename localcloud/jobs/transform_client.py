"""Sends the input files of a transform job through the servers of its model: python3 transform_client.py FOLDER

Runs in the job's own process with the standard library alone, because it runs in any image's environment. FOLDER is the
job's /opt/ml: `transform.json` holds the request and the servers' ports and key, input/data the files, and output/data
gets one `.out` file for each.
Source: "Batch transform" and "Associate Prediction Results with Input Records" in the SageMaker developer guide.
"""

import gzip
import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PING_SECONDS = 600
_SEVERAL = re.compile(r"\$\[-?\d+(,-?\d+)+\]")
_JSON = ("application/json", "application/jsonlines")


class TransformError(Exception):
    """The job cannot go on; the message is its reason."""


class Servers:
    """The servers of the model's containers. The first one is started here, and stopped with `close`."""

    def __init__(self, folder: Path, ports: list[int], key: str) -> None:
        self._ports, self._key = ports, key
        self._process = subprocess.Popen(["serve"], cwd=folder)

    def wait(self) -> None:
        """Return once all answer pings; TransformError if the first ends, or one does not within 10 minutes."""
        deadline = time.monotonic() + PING_SECONDS
        for port in self._ports:
            while not self._answers(port):
                if self._process.poll() is not None:
                    raise TransformError(f"The model server ended with exit code {self._process.returncode}.")
                if time.monotonic() > deadline:
                    raise TransformError("The model server gave no healthy ping.")
                time.sleep(0.1)

    def _answers(self, port: int) -> bool:
        try:
            return self._ask(port, "GET", "/ping", b"", {}, 60)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def parameters(self) -> tuple[int, bytes]:
        """Status and body of the first container's answer to GET /execution-parameters."""
        status, _, body = self._ask(self._ports[0], "GET", "/execution-parameters", b"", {}, 60)
        return status, body

    def invoke(self, body: bytes, content_type: str, accept: str | None, seconds: float) -> tuple[int, bytes]:
        """Status and body of the last container's answer, or of the first one that fails.

        The answer of one container is the request of the next, with its type; the last one is told what to answer.
        """
        for port in self._ports:
            headers = {"Content-Type": content_type}
            if accept and port == self._ports[-1]:
                headers["Accept"] = accept
            status, answer_type, body = self._ask(port, "POST", "/invocations", body, headers, seconds)
            if status != 200:
                break
            content_type = answer_type or "application/octet-stream"
        return status, body

    def _ask(
        self, port: int, method: str, path: str, body: bytes, headers: dict[str, str], seconds: float
    ) -> tuple[int, str | None, bytes]:
        """Status, content type and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        try:
            connection.request(method, path, body, {**headers, "X-Serve-Key": self._key})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type"), answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        """Stop the first container's server, which this program started."""
        self._process.terminate()


def settings(servers: Servers, job: dict[str, Any]) -> dict[str, Any]:
    """MaxConcurrentTransforms, BatchStrategy, MaxPayloadInMB: the job's, else what the model asks for, else 1 and 6."""
    asked: dict[str, Any] = {}
    if not {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"} <= set(job):
        status, body = servers.parameters()
        if status == 200:
            try:
                given = json.loads(body)
            except (ValueError, RecursionError):
                given = None
            asked = given if isinstance(given, dict) else {}
    return {
        "MaxConcurrentTransforms": job.get("MaxConcurrentTransforms") or asked.get("MaxConcurrentTransforms") or 1,
        "BatchStrategy": job.get("BatchStrategy") or asked.get("BatchStrategy") or "MultiRecord",
        "MaxPayloadInMB": job.get("MaxPayloadInMB", asked.get("MaxPayloadInMB", 6)),
    }


def batches(records: list[bytes], strategy: str, limit: float) -> Iterator[list[bytes]]:
    """The records of each request: one, or as many as fit into `limit` bytes. TransformError if one alone does not."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        if len(record) > limit:
            raise TransformError(f"A record has {len(record):,} bytes, more than MaxPayloadInMB allows ({limit:,.0f}).")
        if batch and (strategy == "SingleRecord" or size + len(record) + 1 > limit):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record) + 1
    if batch:
        yield batch


def parse_path(text: str) -> list[str | int | slice]:
    """The steps of a JSONPath as SageMaker takes it: `$.a.b`, `$['a']`, `$[0]`, `$[1:]`."""
    steps: list[str | int | slice] = []
    pattern = re.compile(r"\.([\w-]+)|\['([^']+)'\]|\[(-?\d+)\]|\[(-?\d*):(-?\d*)\]")
    at = 1
    while at < len(text):
        found = pattern.match(text, at)
        if text[0] != "$" or found is None:
            raise TransformError(f"The JSONPath {text!r} is not understood from {text[at:]!r}.")
        name, quoted, index, start, stop = found.groups()
        if name or quoted:
            steps.append(name or quoted)
        elif index is not None:
            steps.append(int(index))
        else:
            steps.append(slice(int(start) if start else None, int(stop) if stop else None))
        at = found.end()
    return steps


def check_path(text: str) -> None:
    """TransformError if a JSONPath is of a form that is not understood."""
    if not _SEVERAL.fullmatch(text):
        parse_path(text)


def select(value: Any, path: str) -> Any:
    """What a JSONPath finds in a value; TransformError if there is nothing."""
    if _SEVERAL.fullmatch(path):
        return [value[int(number)] for number in path[2:-1].split(",")]
    found = value
    for step in parse_path(path):
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            raise TransformError(f"{path} finds nothing in {str(value)[:200]}.") from None
    return found


def read(record: str, kind: str) -> Any:
    """A record as a value: the fields of CSV, or JSON."""
    if kind in _JSON:
        return json.loads(record)
    return record.split(",")


def write(value: Any, kind: str) -> str:
    """A value as a record."""
    if kind in _JSON:
        return json.dumps(value)
    return ",".join(str(field) for field in value) if isinstance(value, list) else str(value)


def joined(record: str, answer: str, kind: str, processing: dict[str, str]) -> str:
    """The output of a record: its prediction, beside the record if the job joins them, through OutputFilter."""
    prediction: Any = read(answer, kind)
    if processing.get("JoinSource") == "Input":
        given = read(record, kind)
        if kind not in _JSON:
            prediction = [*given, *prediction]
        elif isinstance(given, dict):
            prediction = {**given, "SageMakerOutput": prediction}
        else:
            prediction = {"SageMakerInput": given, "SageMakerOutput": prediction}
    path = processing.get("OutputFilter", "$")
    return write(prediction if path == "$" else select(prediction, path), kind)


class Transform:
    """One job: `file` transforms one of its files."""

    def __init__(self, job: dict[str, Any], servers: Servers) -> None:
        self._job, self._servers = job, servers
        self._settings = settings(servers, job)
        self._processing = job.get("DataProcessing", {})
        self._kind = job["TransformInput"].get("ContentType", "").partition(";")[0].strip()
        self._lines = job["TransformInput"].get("SplitType", "None") == "Line"
        self.concurrent = int(self._settings["MaxConcurrentTransforms"])

    def file(self, source: Path, target: Path) -> None:
        """Write the output of one input file; TransformError if a request fails."""
        body = source.read_bytes()
        if self._job["TransformInput"].get("CompressionType") == "Gzip":
            body = gzip.decompress(body)
        limit = float(self._settings["MaxPayloadInMB"]) * 2**20 or float("inf")
        filters = bool(self._processing)
        records = body.splitlines() if self._lines or (filters and self._kind != "application/json") else [body]
        records = [record for record in records if record.strip()]
        parts = list(batches(records, self._settings["BatchStrategy"] if self._lines else "MultiRecord", limit))
        with ThreadPoolExecutor(self.concurrent) as pool:
            answers = list(pool.map(lambda part: self._answer(part, source.name), parts))
        between = b"\n" if self._job["TransformOutput"].get("AssembleWith") == "Line" else b""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"".join(answer.rstrip(b"\n") + between if between else answer for answer in answers))

    def _answer(self, records: list[bytes], name: str) -> bytes:
        """Return the model's predictions for a batch of records of file `name`, joined and filtered; TransformError."""
        path = self._processing.get("InputFilter", "$")
        sent = records
        if path != "$":
            sent = [write(select(read(r.decode(), self._kind), path), self._kind).encode() for r in records]
        accept = self._job["TransformOutput"].get("Accept")
        kind = self._kind or "application/octet-stream"
        client = self._job.get("ModelClientConfig", {})
        seconds = float(client.get("InvocationsTimeoutInSeconds", 600))
        for left in range(int(client.get("InvocationsMaxRetries", 3)), -1, -1):
            status, body = self._servers.invoke(b"\n".join(sent), kind, accept, seconds)
            if status < 500 or left == 0:
                break
        if status != 200:
            raise TransformError(f"{name}: the model answered {status}: {body[:300].decode('utf-8', 'replace')}")
        if self._processing.get("JoinSource", "None") == "None" and self._processing.get("OutputFilter", "$") == "$":
            return body
        text = body.decode()
        answers = [text] if self._kind == "application/json" and len(records) == 1 else text.split("\n")
        answers = [answer for answer in answers if answer.strip()]
        if len(answers) != len(records):
            raise TransformError(
                f"{name}: {len(records)} records got {len(answers)} predictions; to join them the model must answer "
                "with a line for each, or BatchStrategy be SingleRecord."
            )
        pairs = zip(records, answers, strict=True)
        return "".join(joined(r.decode(), a, self._kind, self._processing) + "\n" for r, a in pairs).encode()


def main(folder: Path) -> None:
    """Transform all files; the reason of a failure goes to output/failure."""
    job = json.loads((folder / "transform.json").read_text())
    servers = Servers(folder, job["Ports"], job["Key"])
    try:
        servers.wait()
        transform = Transform(job, servers)
        source = folder / "input" / "data"
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            name = path.relative_to(source)
            transform.file(path, folder / "output" / "data" / name.with_name(f"{name.name}.out"))
    except (TransformError, OSError, ValueError, http.client.HTTPException) as error:
        (folder / "output" / "failure").write_text(str(error))
        sys.exit(str(error))
    finally:
        servers.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
