"""The tear sheet of a report: one HTML page, whose sections are the modules of `sections/`."""
