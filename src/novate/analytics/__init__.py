"""The float64 quant library: prices, Greeks, fits. Advisory: no float decides anything."""
