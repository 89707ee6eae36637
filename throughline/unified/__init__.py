"""`UnifiedTradingPipeline`: the whole of it behind the method names of the seed document."""

from throughline.unified.pipeline import UnifiedTradingPipeline

__all__ = ["UnifiedTradingPipeline"]
