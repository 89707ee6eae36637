"""The market data providers, one file each (`throughline.experiment.provider`). A new file here is a new provider."""
