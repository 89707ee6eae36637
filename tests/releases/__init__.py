"""Homes of earlier releases, as those releases wrote them, and what reads them in tests."""
