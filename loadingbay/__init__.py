"""The `loadingbay` command.

Shared: `cli` (the group of commands), `commands/` (a module a command), `options` (what commands have in common),
`target` (which cloud), `errors`, `reference` (writes docs/cli.md).
By topic: `data/ stack/ registry/ story/ serving/ tuning/ push/ screen/`; each has a map in its `__init__`.
"""
