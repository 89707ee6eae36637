"""The suites: one JSON file per gated asset. A change of a file is a new version and a new hash."""
