"""HTTP between the local cloud and model servers: one request, through all the containers of an instance."""

import aiohttp

from localcloud.serving.answers import AT_ONCE, Answer, Limits, LostError, Target
from localcloud.serving.instance import Instance
from localcloud.serving.loaded_models import LOAD_SECONDS, LoadError
from localcloud.serving.model_server import ModelServer

_CONNECT_SECONDS = 5
_ENDED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class Exchange:
    """Sends requests to model servers over connections that are kept. Used from the event loop only."""

    def __init__(self) -> None:
        self._opened: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        """The HTTP client, made when it is first asked for, inside the event loop."""
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept-Encoding"),
                trust_env=False,
                # Model servers set no cookies.
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._opened

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.close()

    async def send(
        self,
        instance: Instance,
        headers: dict[str, str],
        body: bytes,
        limits: Limits = AT_ONCE,
        target: Target | None = None,
    ) -> Answer:
        """Send a request through the instance's containers; `busy` counts it meanwhile.

        The answer of one container is the request of the next, with its Content-Type. What the client accepts is said
        to the last one only: between them each answers with its own default, as on AWS. LostError if one does not
        answer, ApiError if the model that is named cannot be had.
        """
        target = target or Target()
        servers = [one for one in instance.servers if target.container in (None, one.name)]
        instance.busy += 1
        try:
            for server in servers:
                sent = headers if server is servers[-1] else {n: v for n, v in headers.items() if n != "Accept"}
                try:
                    answer = await self._to_server(instance, server, sent, body, limits, target.model)
                except (aiohttp.ClientError, TimeoutError) as error:
                    refused = isinstance(error, aiohttp.ClientConnectorError)
                    raise LostError(server.name, error, refused, isinstance(error, _ENDED)) from error
                if answer.status >= 400:
                    break
                headers, body = {**headers, "Content-Type": answer.content_type}, answer.body
            return answer
        finally:
            instance.busy -= 1

    async def _to_server(
        self,
        instance: Instance,
        server: ModelServer,
        headers: dict[str, str],
        body: bytes,
        limits: Limits,
        model: str | None,
    ) -> Answer:
        """The answer of one container, which loads `model` first if it serves several and has not loaded it yet."""
        if instance.loaded is None or not server.several or model is None:
            return await self._post(server, "/invocations", headers, body, limits)
        try:
            async with instance.loaded.held(model, self._ask) as name:
                headers = {**headers, "X-Amzn-SageMaker-Target-Model": model}
                return await self._post(server, f"/models/{name}/invoke", headers, body, limits)
        except LoadError as error:
            return Answer(server.name, error.status, {}, error.text.encode())

    async def _post(
        self, server: ModelServer, path: str, headers: dict[str, str], body: bytes, limits: Limits
    ) -> Answer:
        """Send one request to a model server; return its answer, at most `limits.most_bytes` long."""
        url, most = f"http://127.0.0.1:{server.port}{path}", limits.most_bytes
        timeout = aiohttp.ClientTimeout(total=limits.seconds, connect=_CONNECT_SECONDS)
        async with self._session.post(
            url, data=body, headers={**headers, **server.headers}, allow_redirects=False, timeout=timeout
        ) as response:
            answer = bytearray(await response.content.read(most + 1))
            while len(answer) <= most and (more := await response.content.read(most + 1 - len(answer))):
                answer += more
            if len(answer) > most:
                raise aiohttp.ClientPayloadError(f"the answer is longer than {most:,} bytes")
            return Answer(server.name, response.status, response.headers, bytes(answer))

    async def _ask(self, server: ModelServer, method: str, path: str, body: bytes) -> tuple[int, str]:
        """Ask a server of several models to load or unload one; see `loaded_models.Ask`."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", **server.headers}
        timeout = aiohttp.ClientTimeout(total=LOAD_SECONDS, connect=_CONNECT_SECONDS)
        url = f"http://127.0.0.1:{server.port}{path}"
        async with self._session.request(method, url, data=body, headers=headers, timeout=timeout) as response:
            text = await response.content.read(100_000)
            return response.status, text.decode("utf-8", "replace")
