"""Lambda CheckConfidence: routes the driver where the model is sure enough. Module: app; data: routes.json."""
