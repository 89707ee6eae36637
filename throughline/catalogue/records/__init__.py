"""The kinds of record, one file each. A file here declares its kind as `RECORD` and is found by being here."""
