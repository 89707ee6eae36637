"""What assets are handed: settings, database, market data, quality, and the Dagster instance behind it all."""
