"""Features: the vector of a decision, data sets without leaks, and the store of the latest vectors."""
