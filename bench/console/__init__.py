"""How fast the console is, on a local cloud of its own.

- `pages`: the milliseconds of each page, with many versions, captures and executions
- `keyboard`: how many photos a minute can be reviewed by keyboard, in a real browser
- `started`: the local cloud and the console that are measured
"""
