"""`console`: the pages on which people approve, review, watch and try."""

from __future__ import annotations

import os
import threading

import click

from loadingbay.options import Number, folder, with_target
from loadingbay.target import Target

PORT = 4748
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@click.command(short_help="Open a page to approve, review, watch and try.")
@with_target
@click.option(
    "--port", type=Number(0, 65535), default=PORT, show_default=True, help="The port; 0 takes any that is free."
)
@click.option("--open/--no-open", "browser", default=True, show_default=True, help="Open it in the browser.")
def console(target: Target, port: int, browser: bool) -> None:
    """Serve the console on this machine, with your own rights, until Ctrl-C.

    The address that is printed can be opened once: whoever opens it gets a session of twelve hours. Nothing but this
    machine can reach it.
    """
    until_interrupted(open_console(target, port, browser=browser))


def open_console(target: Target, port: int = PORT, *, browser: bool = True) -> threading.Thread:
    """Serves the console in a thread, prints its address, opens it in a browser if there is a screen; the thread.

    Raises WorkError when the port is taken.
    """
    from loadingbay.console.server import prepare

    ready = prepare(target, folder(), port=port, environment=os.environ)
    serving = threading.Thread(target=ready.serve, daemon=True, name="console")
    serving.start()
    click.echo(f"The console, at an address that can be opened once: {ready.address}", err=True)
    # Without a screen, xdg-open tries text browsers one by one: one that is there would use the address up.
    if browser and any(os.environ.get(name) for name in _SCREENS):
        click.launch(ready.address)
    return serving


def until_interrupted(serving: threading.Thread) -> None:
    """Waits until the thread ends; Ctrl-C and SIGTERM raise KeyboardInterrupt here.

    Python handles signals in the main thread only. The kernel may give a signal to any other thread, which does not
    wake an unlimited `join`: so the wait ends every second and begins anew.
    """
    while serving.is_alive():
        serving.join(1)
