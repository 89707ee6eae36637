"""Walk-forward: a historical backtest in which models are trained, gated, tried and replaced as time goes on."""
