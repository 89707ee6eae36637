"""The modes, one file each (`throughline.experiment.mode`). A new file is a new mode (docs/extending.md)."""
