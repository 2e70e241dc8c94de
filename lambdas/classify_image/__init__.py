"""Lambda ClassifyImage: sends one photo to the endpoint and returns its prediction. Module: app."""
