"""Composition only: what is put together from assets, resources and sensors, and the commands that start it."""
