"""Runs jobs and model servers as processes that are isolated from each other and end with the local cloud.

launcher   runs one command in namespaces of its own, and ends every process it started
mounts     what a command in a mount namespace of its own sees
kernel     calls of the kernel that Python's library lacks
usage      what a command takes of the machine, and whether it is more than it may
spawner    the script that forks launchers
relay      passes connections on to a model server whose network has no other way in
homes      notes the homes of all local clouds of a user
sandbox    finds which namespaces this machine allows, and plans what a command sees
layer      gives a process a folder of its own for what it installs with pip, on top of its environment
artifacts  unpacks model archives, which nobody vouches for
process    has a launcher forked, passes on the command's output line by line, and stops it
ports      finds free ports
leftovers  ends processes that a killed local cloud left running
"""
