"""How figures become text, markdown, HTML and pictures: formats, tables, charts, blocks of a page, templates.

Belongs here: everything that knows how something looks and nothing of trades. Does not belong here: which figures are
shown, and in which order (`throughline.analytics`, `throughline.dossier`, `throughline.cli`, `assets`).
"""
