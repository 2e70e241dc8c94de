"""The `loadingbay` command.

Shared by all:

- `cli`: the group of commands; `commands/` has a module for each, `options` what they have in common
- `target`, `sessions`: which cloud a command talks to, and the boto3 sessions for it
- `errors`: failures as sentences, with their exit codes
- `reference`: writes docs/cli.md

By topic, each with a map in its `__init__`:

- `data`: finds or draws photos and uploads them
- `stack`: deploys, packages and removes the application, and starts the local cloud
- `registry`: reads and decides about versions, and what the endpoint serves
- `serving`: sends photos, monitors, and shows what runs
- `learning`: labels that people give, and what is learned from them
- `story`: a run from photos to a served version; `tuning` searches parameters; `push` builds a commit
- `screen`: progress, results and errors in the terminal
- `console`: the same work as pages in a browser
"""
