"""A plug-in of botocore: requests to an address of AWS's that the caller wrote out go to AWS_ENDPOINT_URL instead.

botocore itself uses AWS_ENDPOINT_URL unless an address is given in code, as the SageMaker SDK does for STS. The
variable BOTOCORE_EXPERIMENTAL__PLUGINS names this module, see `botocore/plugin.py`. Without AWS_ENDPOINT_URL it does
nothing.
"""

import os
from typing import Any
from urllib.parse import urlsplit, urlunsplit


def initialize_client_plugin(client: Any) -> None:
    """Called by botocore with each new client."""
    client.meta.events.register_first("before-sign", _redirect)


def _redirect(request: Any, **_: Any) -> None:
    target = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    given = urlsplit(request.url)
    if target.netloc and (given.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
        request.url = urlunsplit((target.scheme, target.netloc, *given[2:]))
