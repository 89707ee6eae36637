"""The assets: thin shells over `throughline.flow`, `throughline.learning` and `throughline.analytics`, for each mode.

Belongs here: keys, edges, policies, and what a person sees of a day. Does not belong here: what happens in a day
(`throughline.flow`), how a home is opened (`resources`), what is scheduled (`pipelines`).

A module here is found by being there: its functions with `@for_each_mode` or `@for_location`
(`resources.definition_factory`) return assets.
"""
