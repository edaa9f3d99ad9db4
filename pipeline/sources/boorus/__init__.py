"""Engines of boorus: image boards with tags and an API."""
