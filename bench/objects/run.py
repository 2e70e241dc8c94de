"""What a large object costs the local cloud: `.venv/bin/python bench/objects/run.py` prints a table.

An object is sent in parts by hand, completed, read in one answer and copied by boto3's `copy`. Of each: seconds, by how
much the memory of the server's process grows (its own pages, sampled), and the longest that a `list_buckets` on another
connection waits meanwhile. `--beside CHECKOUT` measures another checkout in the same run. Nothing else should be
running.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.cloud import ROOT, Cloud, running

MIB = 1024 * 1024
PART = 8 * MIB
Row = tuple[str, float, float, float]


@contextlib.contextmanager
def watched(cloud: Cloud, name: str, rows: list[Row]) -> Iterator[None]:
    """Add a row when the work inside has ended: seconds, most memory more in MB, longest wait in ms."""
    server, client, ended = psutil.Process(cloud.process), cloud.client("s3"), threading.Event()
    client.list_buckets()
    before, most, longest = server.memory_full_info().uss, 0.0, 0.0

    def look() -> None:
        nonlocal most
        while not ended.wait(0.05):
            most = max(most, server.memory_full_info().uss - before)

    def ask() -> None:
        nonlocal longest
        while not ended.wait(0.01):
            began = time.perf_counter()
            client.list_buckets()
            longest = max(longest, time.perf_counter() - began)

    threads = [threading.Thread(target=task) for task in (look, ask)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    try:
        yield
        seconds = time.perf_counter() - began
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    rows.append((name, seconds, most / MIB, longest * 1000))


def measure(checkout: Path, size: int) -> list[Row]:
    """The rows of one checkout with an object of `size` bytes."""
    rows: list[Row] = []
    part = os.urandom(PART)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home", checkout) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="objects")
        named = {"Bucket": "objects", "Key": "large"}
        upload = {**named, "UploadId": s3.create_multipart_upload(**named)["UploadId"]}
        sent = []
        with watched(cloud, "parts sent", rows):
            for number in range(1, size // PART + 1):
                answer = s3.upload_part(**upload, PartNumber=number, Body=part)
                sent.append({"PartNumber": number, "ETag": answer["ETag"]})
        with watched(cloud, "completed", rows):
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
        with watched(cloud, "read in one answer", rows):
            for _ in s3.get_object(**named)["Body"].iter_chunks(MIB):
                pass
        with watched(cloud, "copied by boto3", rows):
            s3.copy(named, "objects", "copy")
    return rows


def main() -> None:
    """Measure this checkout, and the other one, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the object")
    parser.add_argument("--beside", type=Path, help="another checkout, with its environments set up")
    given = parser.parse_args()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}\n")
    print(f"| {given.megabytes:,} MB | seconds | MB more | longest wait of others, ms |\n|---|---|---|---|")
    checkouts = {"": ROOT} | ({", beside": given.beside.resolve()} if given.beside else {})
    for label, checkout in checkouts.items():
        for name, seconds, memory, wait in measure(checkout, given.megabytes * MIB):
            print(f"| {name}{label} | {seconds:.2f} | {memory:,.0f} | {wait:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
