"""The UUID chain: records from candidate to outcome, and the tracking system that writes single ones."""
