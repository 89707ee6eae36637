"""The assets: thin shells over `throughline.flow`, one factory per concept, built once per mode.

Belongs here: keys, edges, policies, and what a person sees of a day. Does not belong here: what happens in a day
(`throughline.flow`), how a home is opened (`resources`), what is scheduled (`pipelines`).
"""
