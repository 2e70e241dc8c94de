"""One module a command, or a few that belong together; `loadingbay.cli` lists them."""
