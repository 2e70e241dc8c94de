"""How long the console's pages take on a registry of many versions.

- `pages`: seeds a local cloud of its own, asks for each page, and prints the milliseconds
"""
