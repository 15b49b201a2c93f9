"""The parts of bench/run: side-by-side measurement of reverse proxies by their CPU time per request."""
