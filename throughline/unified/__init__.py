"""`UnifiedTradingPipeline`: the whole of it behind the method names of the seed document."""
