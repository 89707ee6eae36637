"""The stages of the day, one file each. A file here declares its stage as `STAGE` and is found by being here."""
