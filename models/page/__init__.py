"""The web page that runs exported networks."""

MODELS = "models.json"  # the file of a page that lists its models; it is written last
