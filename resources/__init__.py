"""What definitions receive (home, notifier), settings of this machine, and the storage and instance of Dagster."""
