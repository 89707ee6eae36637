"""The dossier of one trade: its records recomputed, what stands beside them, and its text and page.

`read.compile_dossier` puts it together, `page` and `sections/` show it as HTML, `text` and `record_text` in a terminal.
"""
