"""Passes connections from the machine's loopback on to a network without any other way in: `relay.py FD PORT`.

FD is a socket that listens on the machine's 127.0.0.1 although this process is in another network, where connections
go on to 127.0.0.1 PORT. The launcher starts it for a model server under EnableNetworkIsolation.
"""

import asyncio
import contextlib
import signal
import socket
import sys

_CHUNK = 256 * 1024


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of what is read; a side that is gone ends it too."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass one connection on, both ways; one that nobody takes is closed, as a port where nobody listens does."""
    try:
        onward, back = await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_copy(reader, back), _copy(onward, writer))
    for end in (back, writer):
        end.close()


async def _serve(listener: socket.socket, port: int) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _relay(port, reader, writer), sock=listener, limit=_CHUNK
    )
    await server.serve_forever()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the launcher, whose mask it inherits, blocks them
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
