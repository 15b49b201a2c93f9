"""The parts of bench/run and bench/tokens: side-by-side measurement by CPU time per request."""
