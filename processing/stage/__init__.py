"""The Stage job: photos in, records for training and testing out.

__main__       the command: arguments, and from input to outputs
archives       archives in CIFAR-100's python format
plain_pickle   unpickles plain data without running anything
photo_folders  folders of labelled photos
rows           labelled photos on their way into records
"""
