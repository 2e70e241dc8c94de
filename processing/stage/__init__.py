"""The Stage job: photos in, records for training and testing out.

__main__       the command: arguments, and from input to outputs
archives       reads archives in CIFAR-100's python format
plain_pickle   unpickles plain data without running anything
photo_folders  reads folders of labelled photos
outliers       which classes that were not asked for are learned from, and which are tested on
rows           labelled photos on their way into records
labelled       photos that people labelled while a version was in service
camera         shows a part of the older photos as the camera takes them now
samples        a few test photos as files
"""
