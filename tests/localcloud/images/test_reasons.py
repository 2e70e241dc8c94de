"""The reason of a failed installation is one sentence, taken from what uv prints."""

import pytest

from localcloud.images.reasons import reason

MISSING = """\
Using Python 3.11.2 environment at: place
error: No solution found when resolving dependencies
  cause: Because there is no version of numpy==99.1 and you require numpy==99.1, we can conclude that your \
requirements are unsatisfiable.
"""
OFFLINE = """\
error: No solution found when resolving dependencies
  cause: Because six was not found in the cache and you require six, we can conclude that your requirements are \
unsatisfiable.

hint: Packages were unavailable because the network was disabled. When the network is disabled, registry packages \
may only be read from the cache.
"""
DEAD_INDEX = """\
error: Request failed after 3 retries in 10.1s
  cause: Failed to fetch: http://127.0.0.1:9/simple/six/
  cause: error sending request for url (http://127.0.0.1:9/simple/six/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
BUILD = """\
Resolved 10 packages in 698ms
   Building pandas==1.0.0
error: Failed to download and build `pandas==1.0.0`
  cause: Failed to install requirements from `build-system.requires`
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

         [stderr]
         Traceback (most recent call last):
           File "<string>", line 11, in <module>
         ModuleNotFoundError: No module named 'distutils.msvccompiler'
"""
NO_NETWORK = "a package is not in uv's cache, and no package index can be reached to download it"


@pytest.mark.parametrize(
    ("printed", "sentence"),
    [
        (
            MISSING,
            "No solution found when resolving dependencies: Because there is no version of numpy==99.1 and you require "
            "numpy==99.1, we can conclude that your requirements are unsatisfiable",
        ),
        (OFFLINE, f"{NO_NETWORK} (UV_OFFLINE is set)"),
        (
            DEAD_INDEX,
            f"{NO_NETWORK} (Failed to fetch: http://127.0.0.1:9/simple/six/: Connection refused (os error 111))",
        ),
        (
            BUILD,
            "Failed to download and build `pandas==1.0.0`: Call to `setuptools.build_meta:__legacy__.build_wheel` "
            "failed (exit status: 1): ModuleNotFoundError: No module named 'distutils.msvccompiler'",
        ),
        ("Killed\n", "Killed"),
        ("", "uv exited with 137"),
    ],
)
def test_one_sentence_says_why(printed: str, sentence: str) -> None:
    assert reason(printed.splitlines(), 137) == sentence
