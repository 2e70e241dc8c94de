"""Processes that see and reach only what is theirs: jobs and model servers run in them.

launcher   the script that runs one command in namespaces of its own, and ends all that it started
sandbox    which namespaces this machine allows, and the plan of what a command sees
layer      what a process installs with pip, apart from the environment that it runs in
process    starts a launcher, hands on the command's output, and ends it
leftovers  what a killed local cloud left running, known by what is never given to another process
"""
