"""Lambda SerializeImage: checks a photo's size and format; carries it inline while it is small. Module: app."""
